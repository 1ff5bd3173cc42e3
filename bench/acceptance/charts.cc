#include "acceptance/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "acceptance/summary.h"
#include "acceptance/svg.h"

namespace kakeya::acceptance {
namespace {

constexpr double kWidth = 460;

struct Frame {
  Axis x, y;
};

double finite_or(double value, double other) { return std::isfinite(value) ? value : other; }

// Horizontal grid lines with their figures, and the name of the axis.
void draw_y_axis(Svg& svg, const Frame& f, const std::vector<double>& ticks, const std::string& name,
                 const std::string& unit) {
  for (const double tick : ticks) {
    svg.line(f.x.from, f.y.at(tick), f.x.to, f.y.at(tick), tick == 0 ? "base" : "grid");
    svg.text(f.x.from - 6, f.y.at(tick) + 4, tick_text(tick) + unit, "tick", "end");
  }
  svg.text_upwards(12, (f.y.from + f.y.to) / 2, name, "axis");
}

void draw_x_axis(Svg& svg, const Frame& f, const std::vector<double>& ticks, const std::string& name) {
  svg.line(f.x.from, f.y.from, f.x.to, f.y.from, "base");
  for (const double tick : ticks) {
    svg.line(f.x.at(tick), f.y.from, f.x.at(tick), f.y.from + 4, "base");
    svg.text(f.x.at(tick), f.y.from + 17, tick_text(tick), "tick", "middle");
  }
  svg.text((f.x.from + f.x.to) / 2, f.y.from + 35, name, "axis", "middle");
}

// Swatches from left to right, wrapped; returns the height used.
double draw_legend(Svg& svg, const Run& run, const std::vector<const Cell*>& cells, double x0, double y0) {
  double x = x0, y = y0;
  for (const Cell* cell : cells) {
    const double width = 22 + text_width(cell->channel.name) + 12;
    if (x + width > kWidth) {
      x = x0;
      y += 18;
    }
    const std::size_t series = series_of(run, cell->channel.name);
    svg.open_series(series);
    svg.marker(x + 6, y - 4, series);
    svg.close_series();
    svg.text(x + 16, y, cell->channel.name, "tick");
    x += width;
  }
  return y - y0 + 18;
}

struct Box {
  double x, y, width, height;
};

bool overlaps(const Box& a, const Box& b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

// Puts the label where nothing else is: right, left, above or below the interval; else nowhere (the legend
// has it).
void place_label(Svg& svg, double x, double y, double top, double bottom, const std::string& text,
                 std::vector<Box>& taken, const Frame& f) {
  const double w = text_width(text), h = 14;
  const std::vector<Box> candidates = {{x + 9, y - h / 2, w, h},
                                       {x - 9 - w, y - h / 2, w, h},
                                       {x - w / 2, top - h - 4, w, h},
                                       {x - w / 2, bottom + 4, w, h}};
  for (const Box& box : candidates) {
    const bool inside =
        box.x >= f.x.from && box.x + box.width <= f.x.to + 8 && box.y + box.height <= f.y.from;
    const bool free =
        std::none_of(taken.begin(), taken.end(), [&](const Box& other) { return overlaps(box, other); });
    if (!inside || !free) continue;
    svg.text(box.x, box.y + h - 3, text, "label");
    taken.push_back(box);
    return;
  }
}

const Cell* baseline_of(const std::vector<const Cell*>& cells) {
  for (const Cell* cell : cells) {
    if (cell->channel.name == "bf16") return cell;
  }
  return nullptr;
}

double share_of(const Acceptance& a, std::size_t length) {
  if (a.cycles == 0 || length >= a.histogram.size()) return 0;
  return 100.0 * static_cast<double>(a.histogram[length]) / static_cast<double>(a.cycles);
}

struct Bar {
  std::string name, value_text;
  std::size_t series = 0;
  double value = 0;
};

std::string bar_chart(const std::vector<Bar>& bars, const std::string& label, const std::string& axis_name) {
  const double left = 74, right = 104, top = 8;
  const double row =
      std::clamp(252.0 / static_cast<double>(std::max<std::size_t>(1, bars.size())), 22.0, 44.0);
  const double height = top + row * static_cast<double>(bars.size()) + 30;
  double most = 0;
  for (const Bar& bar : bars) most = std::max(most, bar.value);
  Svg svg(kWidth, height, label);
  const Axis x{0, most > 0 ? most : 1, left, kWidth - right, false};
  double y = top;
  for (const Bar& bar : bars) {
    svg.text(left - 8, y + row / 2 + 4, bar.name, "label", "end");
    svg.open_series(bar.series);
    svg.rect(left, y + 0.17 * row, x.at(bar.value) - left, 0.66 * row, "bar");
    svg.close_series();
    svg.text(x.at(bar.value) + 6, y + row / 2 + 4, bar.value_text, "tick");
    y += row;
  }
  svg.line(left, top, left, y, "base");
  svg.text(left, y + 20, axis_name, "axis");
  return svg.finish();
}

}  // namespace

std::size_t series_of(const Run& run, const std::string& channel) {
  const std::vector<std::string> names = run.channels();
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), channel) - names.begin());
}

std::string drop_chart(const Run& run) {
  std::vector<const Cell*> rows;
  double low = -1, high = 3;
  for (const Cell& cell : run.cells) {
    if (cell.comparison.verdict == Verdict::kBaseline) continue;
    rows.push_back(&cell);
    low = std::min(low, finite_or(cell.comparison.drop_pp.low, 0));
    high = std::max(
        {high, finite_or(cell.comparison.drop_pp.high, 0), cell.comparison.margin_pp.value_or(0) * 1.15});
  }
  const double left = 136, row = 31, top = 26;
  const double bottom = top + row * static_cast<double>(rows.size());
  Svg svg(kWidth, bottom + 44, "Drop of acceptance rate against bf16 with 95 % intervals and margins");
  const double pad = 0.04 * (high - low);
  const Frame f{{low - pad, high + pad, left, kWidth - 14, false}, {0, 1, bottom, top, false}};
  for (const double tick : nice_ticks(low, high, 6))
    svg.line(f.x.at(tick), top, f.x.at(tick), bottom, "grid");
  draw_x_axis(svg, f, nice_ticks(low, high, 6), "drop in acceptance rate, pp (right is worse)");
  double y = top;
  std::string previous;
  for (const Cell* cell : rows) {
    const Comparison& c = cell->comparison;
    const std::string set = run.dataset_of(*cell).name;
    const double middle = y + row / 2;
    if (set != previous) {
      if (!previous.empty()) svg.line(0, y, kWidth, y, "grid");
      svg.text(0, middle + 4, set, "tick");
    }
    previous = set;
    svg.text(left - 8, middle + 4, cell->channel.name, "label", "end");
    if (c.margin_pp) {
      svg.rect(f.x.at(f.x.low), y + 4, f.x.at(*c.margin_pp) - f.x.at(f.x.low), row - 8, "inside");
      svg.line(f.x.at(*c.margin_pp), y + 3, f.x.at(*c.margin_pp), y + row - 3, "margin");
    }
    if (c.prompts > 0) {
      const std::size_t series = series_of(run, cell->channel.name);
      svg.open_series(series);
      svg.line(f.x.at(c.drop_pp.low), middle, f.x.at(c.drop_pp.high), middle, "whisker");
      svg.line(f.x.at(c.drop_pp.low), middle - 4, f.x.at(c.drop_pp.low), middle + 4, "whisker");
      svg.line(f.x.at(c.drop_pp.high), middle - 4, f.x.at(c.drop_pp.high), middle + 4, "whisker");
      svg.marker(f.x.at(c.drop_pp.estimate), middle, series, 4.5);
      svg.close_series();
    }
    y += row;
  }
  svg.line(f.x.at(0), top - 4, f.x.at(0), bottom, "zero");
  svg.text(f.x.at(0), top - 10, "bf16", "tick", "middle");
  return svg.finish();
}

std::string tau_bits_chart(const Run& run, const std::vector<const Cell*>& cells) {
  double low = 1e9, high = 0, fewest = 1e9, most = 0;
  for (const Cell* cell : cells) {
    const Interval& tau = cell->metrics.acceptance().mean;
    low = std::min(low, finite_or(tau.low, 1));
    high = std::max(high, finite_or(tau.high, 1));
    fewest = std::min(fewest, cell->channel.bits_allocated);
    most = std::max(most, cell->channel.bits_allocated);
  }
  const double margin = std::max(0.1, 0.15 * (high - low));
  Svg svg(kWidth, 300, "Acceptance length against bits per cached vector");
  const double used = draw_legend(svg, run, cells, 52, 12);
  const Frame f{{fewest / 1.15, most * 1.25, 52, kWidth - 14, true},
                {std::max(0.0, low - margin), high + margin, 250, 14 + used, false}};
  draw_y_axis(svg, f, nice_ticks(f.y.low, f.y.high, 6), "tau: tokens per verify pass", "");
  std::vector<double> ticks;
  for (const double bits : {128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0}) {
    if (bits >= f.x.low && bits <= f.x.high) ticks.push_back(bits);
  }
  draw_x_axis(svg, f, ticks, "allocated bits per cached vector (log scale)");
  std::vector<Box> taken;
  for (const Cell* cell : cells) {
    const Interval& tau = cell->metrics.acceptance().mean;
    const double x = f.x.at(cell->channel.bits_allocated);
    taken.push_back({x - 5, f.y.at(finite_or(tau.high, 1)) - 2, 10,
                     f.y.at(finite_or(tau.low, 1)) - f.y.at(finite_or(tau.high, 1)) + 4});
  }
  for (const Cell* cell : cells) {
    const Interval& tau = cell->metrics.acceptance().mean;
    if (!std::isfinite(tau.estimate)) continue;
    const double x = f.x.at(cell->channel.bits_allocated);
    const std::size_t series = series_of(run, cell->channel.name);
    svg.open_series(series);
    svg.line(x, f.y.at(tau.low), x, f.y.at(tau.high), "whisker");
    svg.line(x - 5, f.y.at(tau.low), x + 5, f.y.at(tau.low), "whisker");
    svg.line(x - 5, f.y.at(tau.high), x + 5, f.y.at(tau.high), "whisker");
    svg.marker(x, f.y.at(tau.estimate), series, 5);
    svg.close_series();
    place_label(svg, x, f.y.at(tau.estimate), f.y.at(tau.high), f.y.at(tau.low),
                fmt::format("{} {}", cell->channel.name, figure(tau.estimate, 2)), taken, f);
  }
  return svg.finish();
}

std::string position_chart(const Run& run, const std::vector<const Cell*>& cells) {
  std::size_t positions = 1;
  for (const Cell* cell : cells)
    positions = std::max(positions, cell->metrics.acceptance().per_position.size());
  Svg svg(kWidth, 300, "Share of cycles in which each draft position stood");
  const double used = draw_legend(svg, run, cells, 52, 12);
  const Frame f{{1, static_cast<double>(positions), 60, kWidth - 20, false}, {0, 100, 250, 14 + used, false}};
  draw_y_axis(svg, f, {0, 20, 40, 60, 80, 100}, "cycles in which it stood", "%");
  std::vector<double> ticks;
  for (std::size_t i = 1; i <= positions; ++i) ticks.push_back(static_cast<double>(i));
  draw_x_axis(svg, f, ticks, "position in the draft");
  for (auto it = cells.rbegin(); it != cells.rend(); ++it) {  // bf16 on top
    const std::vector<double>& rates = (*it)->metrics.acceptance().per_position;
    std::vector<std::pair<double, double>> points;
    for (std::size_t i = 0; i < rates.size(); ++i) {
      points.emplace_back(f.x.at(static_cast<double>(i + 1)), f.y.at(100 * rates[i]));
    }
    const std::size_t series = series_of(run, (*it)->channel.name);
    svg.open_series(series);
    svg.polyline(points, "curve");
    for (const auto& [x, y] : points) svg.marker(x, y, series, 3.5);
    svg.close_series();
  }
  return svg.finish();
}

std::string histogram_chart(const Run& run, const std::vector<const Cell*>& cells) {
  std::size_t lengths = 2;
  double most = 1;
  for (const Cell* cell : cells) {
    const Acceptance& a = cell->metrics.acceptance();
    lengths = std::max(lengths, a.histogram.size());
    for (std::size_t l = 1; l < a.histogram.size(); ++l) most = std::max(most, share_of(a, l));
  }
  const double panel_width = 214, panel_height = 132, gap = 18;
  const std::size_t panel_rows = (cells.size() + 1) / 2;
  const double height = static_cast<double>(panel_rows) * (panel_height + gap) + 22;
  Svg svg(kWidth, height, "Share of cycles by acceptance length, one panel per channel");
  const Cell* baseline = baseline_of(cells);
  for (std::size_t p = 0; p < cells.size(); ++p) {
    const double x0 = 34 + static_cast<double>(p % 2) * (panel_width + 4);
    const double y0 = static_cast<double>(p / 2) * (panel_height + gap);
    const Axis x{0.5, static_cast<double>(lengths) - 0.5, x0, x0 + panel_width - 10, false};
    const Axis y{0, most * 1.08, y0 + panel_height, y0 + 24, false};
    for (const double tick : nice_ticks(0, most, 3)) {
      svg.line(x.from, y.at(tick), x.to, y.at(tick), tick == 0 ? "base" : "grid");
      if (p % 2 == 0) svg.text(x.from - 5, y.at(tick) + 4, tick_text(tick) + "%", "tick", "end");
    }
    const double bar = (x.to - x.from) / static_cast<double>(lengths - 1);
    svg.open_series(series_of(run, cells[p]->channel.name));
    for (std::size_t l = 1; l < lengths; ++l) {
      const double top = y.at(share_of(cells[p]->metrics.acceptance(), l));
      svg.rect(x.at(static_cast<double>(l)) - 0.4 * bar, top, 0.8 * bar, y.from - top, "bar");
    }
    svg.close_series();
    if (baseline != nullptr && cells[p] != baseline) {
      for (std::size_t l = 1; l < lengths; ++l) {
        const double share = share_of(baseline->metrics.acceptance(), l);
        if (share == 0) continue;
        const double level = y.at(share);
        svg.line(x.at(static_cast<double>(l)) - 0.5 * bar, level, x.at(static_cast<double>(l)) + 0.5 * bar,
                 level, "outline");
      }
    }
    for (std::size_t l = 1; l < lengths; ++l) {
      if (lengths > 10 && l % 2 == 0) continue;
      svg.text(x.at(static_cast<double>(l)), y.from + 13, std::to_string(l), "tick small", "middle");
    }
    svg.text(x.from, y0 + 14, cells[p]->channel.name, "label");
    svg.text(x.to, y0 + 14, fmt::format("tau {}", figure(cells[p]->metrics.acceptance().mean.estimate, 2)),
             "tick", "end");
  }
  svg.text(kWidth / 2, height - 6, "tokens per verify pass; y: share of cycles; line: bf16", "axis",
           "middle");
  return svg.finish();
}

std::string speed_chart(const Run& run, const std::vector<const Cell*>& cells) {
  std::vector<Bar> bars;
  for (const Cell* cell : cells) {
    if (!cell->metrics.tps) continue;
    const double tps = cell->metrics.tps->mean;
    bars.push_back({cell->channel.name, figure(tps, 1) + " tok/s", series_of(run, cell->channel.name), tps});
  }
  if (bars.empty()) return {};
  return bar_chart(bars, "Decode speed per channel", "decode tokens per second, mean over prompts");
}

std::string memory_chart(const Run& run) {
  std::vector<Bar> bars;
  double baseline = 0;
  for (const Cell& cell : run.cells) {
    if (cell.dataset != 0 || !cell.metrics.memory) continue;
    const double bytes = cell.metrics.memory->target_bytes_per_token;
    if (cell.channel.name == "bf16") baseline = bytes;
    std::string text = fmt::format("{:.0f} B", bytes);
    if (baseline > 0 && cell.channel.name != "bf16")
      text += fmt::format(" ({:.0f} %)", 100 * bytes / baseline);
    bars.push_back({cell.channel.name, text, series_of(run, cell.channel.name), bytes});
  }
  if (bars.empty()) return {};
  return bar_chart(bars, "Cache bytes per token and channel",
                   "bytes of the target's cache per token, as allocated");
}

}  // namespace kakeya::acceptance
