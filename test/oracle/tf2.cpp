// Golden data for test/robot/ros/tfBuffer.test.ts: transforms and look-ups by tf2's own BufferCore (0.36.4, Jazzy).
//
//   colcon-built ROS 2 sourced, geometry2/tf2 sources at $TF2:
//   g++ -O1 -std=c++17 -I$TF2/include $(for p in geometry_msgs builtin_interfaces std_msgs rcutils rosidl_runtime_cpp \
//     rosidl_runtime_c rosidl_typesupport_interface; do echo -I$AMENT_PREFIX_PATH/include/$p; done) \
//     test/oracle/tf2.cpp $TF2/src/*.cpp -L$AMENT_PREFIX_PATH/lib -lrcutils -o tf2 && ./tf2 > test/golden/tf2.json
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "tf2/buffer_core.h"
#include "tf2/exceptions.h"

struct Edge { const char * parent; const char * child; bool fixed; };

static const std::vector<Edge> tree = {
  {"world", "base", true}, {"base", "a", false}, {"a", "b", false}, {"b", "tool", true},
  {"base", "mast", false}, {"mast", "camera", true}, {"world", "table", false}, {"island", "hut", false},
};
static const std::vector<std::string> names = {
  "world", "base", "a", "b", "tool", "mast", "camera", "table", "island", "hut", "nowhere"};

static std::mt19937_64 engine(11);
static double uniform(double low, double high)
{
  return low + (high - low) * static_cast<double>(engine() >> 11) / 9007199254740992.0;
}

int main()
{
  tf2::BufferCore buffer(std::chrono::seconds(10));
  std::printf("{\"tf2\":\"0.36.4\",\"transforms\":[\n");
  bool first = true;
  for (int round = 0; round < 30; ++round) {
    for (const Edge & edge : tree) {
      if (edge.fixed && round > 0) {continue;}
      // Now and then a sample is late, or missing.
      if (!edge.fixed && uniform(0, 1) < 0.2) {continue;}
      const double late = uniform(0, 1) < 0.2 ? uniform(0, 1.5) : 0;
      const long long stamp = 100000000000LL + round * 500000000LL +
        static_cast<long long>(uniform(0, 1e8)) - static_cast<long long>(late * 1e9);
      double q[4];
      double n = 0;
      for (double & x : q) {x = uniform(-1, 1); n += x * x;}
      for (double & x : q) {x /= std::sqrt(n);}
      const double t[3] = {uniform(-2, 2), uniform(-2, 2), uniform(-2, 2)};
      geometry_msgs::msg::TransformStamped m;
      m.header.frame_id = edge.parent;
      m.child_frame_id = edge.child;
      m.header.stamp.sec = static_cast<int>(stamp / 1000000000LL);
      m.header.stamp.nanosec = static_cast<unsigned>(stamp % 1000000000LL);
      m.transform.translation.x = t[0]; m.transform.translation.y = t[1]; m.transform.translation.z = t[2];
      m.transform.rotation.x = q[0]; m.transform.rotation.y = q[1];
      m.transform.rotation.z = q[2]; m.transform.rotation.w = q[3];
      buffer.setTransform(m, "oracle", edge.fixed);
      std::printf("%s[\"%s\",\"%s\",%s,\"%lld\",%.17g,%.17g,%.17g,%.17g,%.17g,%.17g,%.17g]", first ? "" : ",\n",
        edge.parent, edge.child, edge.fixed ? "true" : "false", stamp, t[0], t[1], t[2], q[0], q[1], q[2], q[3]);
      first = false;
    }
  }
  std::printf("],\n\"lookups\":[\n");
  for (int i = 0; i < 400; ++i) {
    const std::string & target = names[engine() % names.size()];
    const std::string & source = names[engine() % names.size()];
    const bool latest = i % 5 == 0;
    // From 13 s before the end (forgotten) to 1 s after it.
    const long long stamp = latest ? 0 : 101500000000LL + static_cast<long long>(uniform(0, 14.5e9));
    std::printf("%s[\"%s\",\"%s\",\"%lld\",", i ? ",\n" : "", target.c_str(), source.c_str(), stamp);
    try {
      const auto found = buffer.lookupTransform(target, source, tf2::TimePoint(std::chrono::nanoseconds(stamp)));
      const auto & p = found.transform;
      std::printf("\"%lld\",%.17g,%.17g,%.17g,%.17g,%.17g,%.17g,%.17g]",
        found.header.stamp.sec * 1000000000LL + found.header.stamp.nanosec, p.translation.x, p.translation.y,
        p.translation.z, p.rotation.x, p.rotation.y, p.rotation.z, p.rotation.w);
    } catch (const tf2::ExtrapolationException & e) {
      std::printf("\"%s\"]", std::string(e.what()).find("into the future") != std::string::npos ? "future" : "past");
    } catch (const tf2::ConnectivityException &) {
      std::printf("\"notConnected\"]");
    } catch (const tf2::LookupException &) {
      std::printf("\"unknownFrame\"]");
    }
  }
  std::printf("]}\n");
}
