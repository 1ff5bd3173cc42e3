#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

namespace kakeya::base {
namespace {

TEST(ThreadPool, RunsEveryTaskOnceForAnyNumberOfThreads) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int job = 0; job < 300; ++job) {
      const auto tasks = static_cast<std::size_t>(job % 23);
      std::vector<std::atomic<int>> runs(tasks);
      std::atomic<bool> thread_in_range{true};
      pool.parallel_for(tasks, [&](std::size_t task, int thread) {
        runs[task].fetch_add(1);
        if (thread < 0 || thread >= threads) thread_in_range = false;
      });
      for (const auto& r : runs) ASSERT_EQ(r.load(), 1);
      ASSERT_TRUE(thread_in_range);
    }
  }
}

TEST(ThreadPool, WhatTasksWroteIsSeenByTheCaller) {
  ThreadPool pool(4);
  std::vector<int> values(1000);
  for (int job = 1; job <= 2000; ++job) {
    pool.parallel_for(values.size(), [&](std::size_t task, int) { values[task] = job; });
    ASSERT_EQ(std::accumulate(values.begin(), values.end(), 0), job * 1000);
  }
}

TEST(ThreadPool, WorkersHelp) {
  ThreadPool pool(2);
  std::atomic<int> inside{0};
  std::atomic<bool> together{false};
  // Two tasks that wait for each other end only when two threads run them.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  pool.parallel_for(2, [&](std::size_t, int) {
    inside.fetch_add(1);
    while (inside.load() < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    if (inside.load() == 2) together = true;
  });
  EXPECT_TRUE(together);
}

TEST(ThreadPool, JobsAfterALongPauseWakeSleepingWorkers) {
  ThreadPool pool(3);
  for (int job = 0; job < 5; ++job) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::atomic<int> runs{0};
    pool.parallel_for(64, [&](std::size_t, int) { runs.fetch_add(1); });
    ASSERT_EQ(runs.load(), 64);
  }
}

TEST(ThreadPool, IsDestroyedWithoutEverBeingUsed) {
  for (int i = 0; i < 50; ++i) ThreadPool pool(1 + i % 4);
}

TEST(ThreadPool, TwoPoolsDoNotDisturbEachOther) {
  ThreadPool a(2), b(2);
  std::vector<int> counts(10);
  std::thread other([&] {
    for (int i = 0; i < 500; ++i) b.parallel_for(5, [&](std::size_t task, int) { ++counts[5 + task]; });
  });
  for (int i = 0; i < 500; ++i) a.parallel_for(5, [&](std::size_t task, int) { ++counts[task]; });
  other.join();
  for (const int n : counts) EXPECT_EQ(n, 500);
}

TEST(UsableCores, IsAtLeastOne) { EXPECT_GE(usable_cores(), 1); }

TEST(ThreadPool, ScratchIsAlignedAndGrowsOnlyWhenMoreIsAskedFor) {
  ThreadPool pool(2);
  EXPECT_TRUE(pool.scratch(0).empty());
  const std::span<std::byte> first = pool.scratch(1000);
  ASSERT_EQ(first.size(), 1000u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first.data()) % 64, 0u);
  std::fill(first.begin(), first.end(), std::byte{1});
  EXPECT_EQ(pool.scratch(10).data(), first.data());
  EXPECT_EQ(pool.scratch(1000).data(), first.data());
  const std::span<std::byte> more = pool.scratch(100000);
  ASSERT_EQ(more.size(), 100000u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(more.data()) % 64, 0u);
  std::fill(more.begin(), more.end(), std::byte{2});
}

}  // namespace
}  // namespace kakeya::base
