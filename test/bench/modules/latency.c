// SPDX-License-Identifier: GPL-2.0
/*
 * How long a task keeps its CPU to itself: with interrupts off, with preemption
 * off. And for how long it holds a mutex
 *
 * How late a timer's interrupt comes is how long interrupts were off; how late a
 * real-time thread runs, which the interrupt wakes, is how long preemption was
 * off, interrupts included. It needs preempt=full: otherwise only cond_resched()
 * preempts. The stack of the task says where either came back on.
 *
 * A tick or softirqs that happen to come in between are not the task's doing,
 * and under -icount the time in which another CPU runs is nobody's: what is as
 * short as those are is not counted then.
 *
 * Whether the mutex is held is looked up at each expiry, so the time that it is
 * held is at most 50 us too long. The task has to tell when it has released it,
 * or two times in a row would look like one.
 */
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/kallsyms.h>
#include <linux/kernel_stat.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/prandom.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include <linux/tick.h>
#include <asm/irq_regs.h>
#include <asm/ptrace.h>

#include "compat.h"
#include "latency.h"

#define MIN_INTERVAL	15000	/* ns */
#define MAX_INTERVAL	30000
#define MAX_NOISE	100000	/* ns, more than a tick with softirqs takes */
#define STACK_DEPTH	24
#define NR_CALLERS	3

struct samples latencies[NR_LATENCIES];

static struct hrtimer timer;
static struct task_struct *watcher, *watched;
static const struct mutex *watched_mutex;
static u64 mutex_free;			/* when it was seen free last */
static u64 recording;			/* ns in the last interrupt */
static u64 ticks_before, busy_before;
static bool running, expired;
bool latency_releasing;
static struct rnd_state rnd;

void samples_reset(struct samples *s)
{
	s->nr = 0;
	s->longest = 0;
	strscpy(s->where, "-");
}

void samples_add(struct samples *s, u64 ns)
{
	if (s->nr < MAX_SAMPLES)
		s->ns[s->nr++] = ns;
	s->longest = max(s->longest, ns);
}

/* The innermost functions that are not the way into an interrupt or out of it */
static void where(struct samples *s, const unsigned long *entries,
		  unsigned int nr)
{
	static const char * const ways[] = {
		"_raw_", "__raw_", "raw_irqentry", "irqentry", "asm_sysvec",
		"sysvec", "preempt_schedule", "dynamic_", "__preempt", "0x",
	};
	char last[KSYM_SYMBOL_LEN] = "";
	unsigned int callers = 0, len = 0;

	for (unsigned int i = 0; i < nr && callers < NR_CALLERS; i++) {
		char name[KSYM_SYMBOL_LEN];
		bool skip;

		snprintf(name, sizeof(name), "%pB", (void *)entries[i]);
		name[strcspn(name, "+ ")] = 0;
		skip = !strcmp(name, last);
		for (int j = 0; j < ARRAY_SIZE(ways); j++)
			skip |= strstarts(name, ways[j]);
		if (skip)
			continue;
		strscpy(last, name);
		len += scnprintf(s->where + len, sizeof(s->where) - len, "%s%s",
				 callers++ ? "<" : "", name);
	}
}

/* Changes with each tick and with each softirq of this CPU. */
static u64 nr_ticks(void)
{
	const int cpu = raw_smp_processor_id();
	u64 nr = 0;

	for (int i = 0; i < NR_STATS; i++)
		nr += kcpustat_cpu(cpu).cpustat[i];
	for (int i = 0; i < NR_SOFTIRQS; i++)
		nr += kstat_softirqs_cpu(i, cpu);
	return nr;
}

/* Grows by the time, in us, in which another CPU is not idle. */
static u64 busy_elsewhere(void)
{
	u64 us = 0;
	int cpu;

	for_each_online_cpu(cpu)
		if (cpu != raw_smp_processor_id())
			us += ktime_to_us(ktime_get()) -
			      get_cpu_idle_time_us(cpu, NULL);
	return us;
}

static bool counts(u64 ns)
{
	return ns > MAX_NOISE || (nr_ticks() == ticks_before &&
				  busy_elsewhere() <= busy_before + 1);
}

/* Also counts a time that begins and ends between two expiries. */
void latency_mutex_is_free(void)
{
	unsigned long flags;
	u64 now;

	if (!watched_mutex)
		return;
	local_irq_save(flags);
	now = ktime_get_ns();
	samples_add(&latencies[MUTEX_HELD], now - mutex_free);
	mutex_free = now;
	local_irq_restore(flags);
}

static void interrupted_where(struct samples *s)
{
	struct pt_regs *regs = get_irq_regs();
	const unsigned long ip = instruction_pointer(regs);
	unsigned long entries[STACK_DEPTH];
	unsigned int nr, i;

	nr = stack_trace_save(entries, ARRAY_SIZE(entries), 0);
	for (i = 0; i + 1 < nr && entries[i] != ip; i++)
		;
	/*
	 * At the end of a function, such as one that turns interrupts on, its
	 * caller is not in the chain of frames any more.
	 */
	if (IS_ENABLED(CONFIG_X86) && i && !user_mode(regs)) {
		entries[--i] = ip;
		entries[i + 1] =
			*(unsigned long *)kernel_stack_pointer(regs);
	}
	where(s, entries + i, nr - i);
}

static enum hrtimer_restart timer_fn(struct hrtimer *t)
{
	struct samples *s = &latencies[latency_releasing ?
				       RELEASE_IRQS_OFF : ALLOC_IRQS_OFF];
	const u64 now = ktime_get_ns();
	const u64 late = now - ktime_to_ns(hrtimer_get_expires(t));

	if (counts(late)) {
		if (late > s->longest)
			interrupted_where(s);
		samples_add(s, late);
	}
	recording = ktime_get_ns() - now;
	if (!watched_mutex || !mutex_is_locked((struct mutex *)watched_mutex))
		mutex_free = now;
	expired = true;
	wake_up_process(watcher);
	return HRTIMER_NORESTART;
}

static void start_timer(void)
{
	u32 ns = MIN_INTERVAL + prandom_u32_state(&rnd) %
		 (MAX_INTERVAL - MIN_INTERVAL);

	ticks_before = nr_ticks();
	busy_before = busy_elsewhere();
	hrtimer_start(&timer, ns_to_ktime(ktime_get_ns() + ns),
		      HRTIMER_MODE_ABS_PINNED_HARD);
}

static int watch(void *data)
{
	unsigned long entries[STACK_DEPTH];

	while (!kthread_should_stop()) {
		struct samples *s;
		u64 late;

		set_current_state(TASK_IDLE);
		if (!expired) {
			schedule();
			continue;
		}
		__set_current_state(TASK_RUNNING);
		expired = false;
		late = ktime_get_ns() - recording -
		       ktime_to_ns(hrtimer_get_expires(&timer));
		s = &latencies[latency_releasing ?
			       RELEASE_PREEMPTION_OFF : ALLOC_PREEMPTION_OFF];
		if (counts(late)) {
			if (late > s->longest)
				where(s, entries,
				      stack_trace_save_tsk(watched, entries,
							   STACK_DEPTH, 0));
			samples_add(s, late);
		}
		if (running)
			start_timer();
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

/* Watch the current task, which stays on its CPU. @mutex may be NULL. */
int latency_start(const struct mutex *mutex)
{
	watched = current;
	watched_mutex = mutex;
	watcher = kthread_create(watch, NULL, "latency");
	if (IS_ERR(watcher))
		return PTR_ERR(watcher);
	kthread_bind(watcher, raw_smp_processor_id());
	sched_set_fifo(watcher);
	wake_up_process(watcher);

	running = true;
	expired = false;
	mutex_free = ktime_get_ns();
	start_timer();
	return 0;
}

void latency_stop(void)
{
	/* The watcher has run for an expiry before this task goes on. */
	running = false;
	hrtimer_cancel(&timer);
	kthread_stop(watcher);
	watched_mutex = NULL;
}

void latency_init(void)
{
	prandom_seed_state(&rnd, 1);
	hrtimer_setup(&timer, timer_fn, CLOCK_MONOTONIC,
		      HRTIMER_MODE_ABS_PINNED_HARD);
}
