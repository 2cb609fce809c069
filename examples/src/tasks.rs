//! A fixed set of tasks and a queue of work for them: so that a board serves many connections
//! with as many tasks as it has memory for, and says so when there are no more.
use core::cell::RefCell;

use critical_section::Mutex;
use gannet_port_freertos::{Event, OutOfMemory, Priority, spawn};
use heapless::Deque;

use crate::board::STACK_WORDS;

/// Work that waits for a task, at most.
const QUEUE: usize = 64;

/// Tasks that do one job after another.
#[derive(Debug)]
pub struct Workers<T: Send + 'static> {
    jobs: Mutex<RefCell<Deque<T, QUEUE>>>,
    /// There are jobs. Whoever takes one and leaves others passes the signal on.
    work: Event,
}

impl<T: Send + 'static> Workers<T> {
    /// `count` tasks that do `run` with each job.
    ///
    /// # Errors
    /// [`OutOfMemory`]: FreeRTOS has no room for so many.
    pub fn start(count: usize, run: fn(T)) -> Result<&'static Self, OutOfMemory> {
        let workers: &'static Self = Box::leak(Box::new(Self {
            jobs: Mutex::new(RefCell::new(Deque::new())),
            work: Event::new()?,
        }));
        for _ in 0..count {
            spawn("worker", Priority::APPLICATION, STACK_WORDS, move || {
                loop {
                    run(workers.next());
                }
            })?;
        }
        Ok(workers)
    }

    /// Queues a job; gives it back if too many wait already.
    pub fn push(&self, job: T) -> Result<(), T> {
        critical_section::with(|cs| self.jobs.borrow_ref_mut(cs).push_back(job))?;
        self.work.signal();
        Ok(())
    }

    fn next(&self) -> T {
        loop {
            let (job, more) = critical_section::with(|cs| {
                let mut jobs = self.jobs.borrow_ref_mut(cs);
                (jobs.pop_front(), !jobs.is_empty())
            });
            if more {
                self.work.signal();
            }
            match job {
                Some(job) => return job,
                None => self.work.wait(None),
            };
        }
    }
}
