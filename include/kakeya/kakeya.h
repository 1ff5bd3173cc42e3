// Umbrella: re-exports the SDK.
#pragma once
#include <kakeya/chat.h>
#include <kakeya/codec.h>
#include <kakeya/constraint.h>
#include <kakeya/engine.h>
#include <kakeya/options.h>
#include <kakeya/policy.h>
#include <kakeya/quantize.h>
#include <kakeya/result.h>
#include <kakeya/service.h>
#include <kakeya/session.h>
#include <kakeya/speed.h>
#include <kakeya/token.h>
#include <kakeya/version.h>
