// A small SVG writer and linear or log axes. Colours are CSS classes of the page, so that one picture serves
// light and dark; sizes are in user units of the viewBox.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kakeya::acceptance {

// &, <, > and quotes as entities.
std::string escape_markup(std::string_view text);

class Svg {
 public:
  // label: what a screen reader says.
  Svg(double width, double height, std::string_view label);
  void line(double x1, double y1, double x2, double y2, std::string_view css);
  void rect(double x, double y, double width, double height, std::string_view css);
  void polyline(const std::vector<std::pair<double, double>>& points, std::string_view css);
  // anchor: "start", "middle", "end".
  void text(double x, double y, std::string_view text, std::string_view css,
            std::string_view anchor = "start");
  // Turned by 90 degrees, reading upwards, centred on (x, y).
  void text_upwards(double x, double y, std::string_view text, std::string_view css);
  // Shape by series: circle, square, triangle, diamond, ..., so that colour is not the only difference.
  void marker(double x, double y, std::size_t series, double radius = 4);
  // Everything until close_series() takes the colour of that series.
  void open_series(std::size_t series);
  void close_series();
  std::string finish() const;

 private:
  std::string body_;
};

struct Axis {
  double low = 0, high = 1;  // data
  double from = 0, to = 1;   // user units
  bool log2 = false;
  double at(double value) const;
};

// Round steps (1, 2, 5 x 10^n), at most `most` of them, covering [low, high].
std::vector<double> nice_ticks(double low, double high, int most);
// "0.5", "12", without trailing zeros.
std::string tick_text(double value);
// Width that a text of the page's 12-unit font takes, roughly.
double text_width(std::string_view text);

}  // namespace kakeya::acceptance
