#include "acceptance/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kakeya::acceptance {

std::string escape_markup(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

Svg::Svg(double width, double height, std::string_view label) {
  body_ = fmt::format("<svg viewBox=\"0 0 {:g} {:g}\" role=\"img\" aria-label=\"{}\">\n", width, height,
                      escape_markup(label));
}

void Svg::line(double x1, double y1, double x2, double y2, std::string_view css) {
  body_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n", x1,
                       y1, x2, y2, css);
}

void Svg::rect(double x, double y, double width, double height, std::string_view css) {
  body_ += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" class=\"{}\"/>\n",
                       x, y, std::max(0.0, width), std::max(0.0, height), css);
}

void Svg::polyline(const std::vector<std::pair<double, double>>& points, std::string_view css) {
  body_ += "<polyline points=\"";
  for (const auto& [x, y] : points) body_ += fmt::format("{:.1f},{:.1f} ", x, y);
  body_ += fmt::format("\" class=\"{}\"/>\n", css);
}

void Svg::text(double x, double y, std::string_view text, std::string_view css, std::string_view anchor) {
  body_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\" text-anchor=\"{}\">{}</text>\n", x, y,
                       css, anchor, escape_markup(text));
}

void Svg::text_upwards(double x, double y, std::string_view text, std::string_view css) {
  body_ += fmt::format(
      "<text transform=\"translate({:.1f} {:.1f}) rotate(-90)\" class=\"{}\" "
      "text-anchor=\"middle\">{}</text>\n",
      x, y, css, escape_markup(text));
}

void Svg::marker(double x, double y, std::size_t series, double r) {
  switch (series % 4) {
    case 0:
      body_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" class=\"dot\"/>\n", x, y, r);
      break;
    case 1:
      body_ +=
          fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" class=\"dot\"/>\n",
                      x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r);
      break;
    case 2:
      body_ += fmt::format("<path d=\"M{:.1f} {:.1f}l{:.1f} {:.1f}h{:.1f}z\" class=\"dot\"/>\n", x,
                           y - 1.2 * r, 1.15 * r, 2 * r, -2.3 * r);
      break;
    default:
      body_ += fmt::format(
          "<path d=\"M{:.1f} {:.1f}l{:.1f} {:.1f}l{:.1f} {:.1f}l{:.1f} {:.1f}z\" class=\"dot\"/>\n", x,
          y - 1.3 * r, 1.3 * r, 1.3 * r, -1.3 * r, 1.3 * r, -1.3 * r, -1.3 * r);
  }
}

void Svg::open_series(std::size_t series) { body_ += fmt::format("<g class=\"s{}\">\n", series % 8); }

void Svg::close_series() { body_ += "</g>\n"; }

std::string Svg::finish() const { return body_ + "</svg>\n"; }

double Axis::at(double value) const {
  if (high <= low) return from;
  const double share = log2 ? (std::log2(value) - std::log2(low)) / (std::log2(high) - std::log2(low))
                            : (value - low) / (high - low);
  return from + share * (to - from);
}

std::vector<double> nice_ticks(double low, double high, int most) {
  const double span = high - low;
  if (!(span > 0) || !std::isfinite(span)) return {low};
  double step = std::pow(10.0, std::floor(std::log10(span / most)));
  for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
    if (span / (step * factor) <= most) {
      step *= factor;
      break;
    }
  }
  std::vector<double> ticks;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i)
    ticks.push_back(i * step);
  return ticks;
}

std::string tick_text(double value) { return fmt::format("{:g}", std::abs(value) < 1e-12 ? 0.0 : value); }

double text_width(std::string_view text) { return 7.3 * static_cast<double>(text.size()); }

}  // namespace kakeya::acceptance
