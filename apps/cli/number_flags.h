// What numbers flags take: whole numbers that fit, finite ones, and ranges that say what they expect.
#pragma once
#include "cli/command.h"

namespace kakeya::cli {

// "found '-1', expected a number from 0 to 1000": for check().
CLI::Validator number_between(double low, double high);
// "found '-1', expected a number from 0".
CLI::Validator number_from_zero();

// Checks every number flag of every command: no wrapped or cut whole number, no NaN and no infinity. Call it
// when all commands are there.
void check_numbers(CLI::App& app);

}  // namespace kakeya::cli
