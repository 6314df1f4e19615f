// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Cases as NumPy saves them (tests/data/npz), and every way a case can be wrong.
#include "npz/case.hpp"

#include <gtest/gtest.h>

#include "medsam/error.hpp"
#include "support/npz_maker.hpp"
#include "support/raised.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam::npz {
namespace {

using medsam::testing::case_bytes;
using medsam::testing::npy;
using medsam::testing::npy_with_header;
using medsam::testing::raw;
using medsam::testing::small_image;

Case numpy_case(const std::string& name) { return *read_case(MEDSAM_ENGINE_TEST_DATA "/npz/" + name + ".npz"); }

template <class T>
void expect_pixels(const Case& c) {
  const auto* values = reinterpret_cast<const T*>(c.imgs.data());
  for (std::int64_t i = 0; i < c.imgs.count(); ++i) ASSERT_EQ(values[i], static_cast<T>(i * 7 % 251)) << i;
}

void expect_boxes(const Case& c) {
  ASSERT_EQ(c.boxes.size(), 2U);
  EXPECT_EQ(c.boxes[0].x0, 0);
  EXPECT_EQ(c.boxes[0].y0, 1);
  EXPECT_EQ(c.boxes[0].x1, 3);
  EXPECT_EQ(c.boxes[0].y1, 4);
  EXPECT_EQ(c.boxes[1].y1, 5);
}

void expect_box3d(const Case& c) {
  ASSERT_EQ(c.boxes3d.size(), 1U);
  const Box3D& b = c.boxes3d[0];
  EXPECT_EQ((std::vector<double>{b.x0, b.y0, b.z0, b.x1, b.y1, b.z1}), (std::vector<double>{0, 1, 0, 3, 2, 2}));
}

/// The error of reading `bytes` as the case `name`: InvalidArgument, one printable line that holds `words`.
void expect_refused(const std::string& bytes, const std::string& words, const std::string& name = "2DBox_a.npz") {
  const medsam::testing::TemporaryFolder folder;
  medsam::testing::write_file(folder.path(name), bytes);
  try {
    static_cast<void>(read_case(folder.path(name)));
    ADD_FAILURE() << "not refused; expected: " << words;
  } catch (const InvalidArgument& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find(words), std::string::npos) << text;
    EXPECT_NE(text.find("expected"), std::string::npos) << text;
    for (const char c : text) EXPECT_TRUE(c >= ' ' && c <= '~') << text;
  }
}

TEST(NpzCase, ReadsADeflatedImage) {
  const Case c = numpy_case("2DBox_deflated");
  EXPECT_FALSE(c.is_volume);
  const ImageView view = c.image();
  EXPECT_EQ(view.height, 6);
  EXPECT_EQ(view.width, 5);
  EXPECT_EQ(view.channels, 3);
  EXPECT_EQ(view.row_stride, 15);
  EXPECT_EQ(view.type, PixelType::u8);
  expect_pixels<std::uint8_t>(c);
  expect_boxes(c);
}

TEST(NpzCase, ReadsFortranOrderVolumes) {
  const Case gray = numpy_case("3DBox_fortran");
  EXPECT_TRUE(gray.is_volume);
  const VolumeView view = gray.volume();
  EXPECT_EQ(view.type, PixelType::i16);
  EXPECT_EQ(view.depth, 3);
  EXPECT_EQ(view.height, 4);
  EXPECT_EQ(view.width, 5);
  EXPECT_EQ(view.row_stride, 10);
  EXPECT_EQ(view.slice_stride, 40);
  expect_pixels<std::int16_t>(gray);
  expect_box3d(gray);  // big-endian float64

  const Case rgb = numpy_case("3DBox_rgb_fortran");
  EXPECT_EQ(rgb.volume().channels, 3);
  EXPECT_EQ(rgb.volume().slice_stride, 60);
  expect_pixels<std::uint8_t>(rgb);
}

TEST(NpzCase, ReadsBigEndianPixels) {
  const Case c = numpy_case("2DBox_big_endian");
  EXPECT_EQ(c.pixel_type, PixelType::f32);
  EXPECT_EQ(c.channels, 1);
  expect_pixels<float>(c);
  expect_boxes(c);
}

TEST(NpzCase, ReadsBoxesOfEveryType) {
  for (const char* type : {"i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}) {
    SCOPED_TRACE(type);
    expect_boxes(numpy_case(std::string("2DBox_boxes_") + type));
  }
}

TEST(NpzCase, HalfBoxesKeepTheirFractions) {
  // 0.5, 1.5, 1024, NaN: 1024 is the first half with a whole step of one.
  const std::string boxes = npy("<f2", "(1, 4)", raw<std::uint16_t>({0x3800, 0x3e00, 0x6400, 0x7e00}));
  const medsam::testing::TemporaryFolder folder;
  medsam::testing::write_file(folder.path("2DBox_h.npz"), case_bytes(small_image(), boxes));
  const Case c = *read_case(folder.path("2DBox_h.npz"));
  EXPECT_EQ(c.boxes[0].x0, 0.5);
  EXPECT_EQ(c.boxes[0].y0, 1.5);
  EXPECT_EQ(c.boxes[0].x1, 1024);
  EXPECT_NE(c.boxes[0].y1, c.boxes[0].y1);
}

TEST(NpzCase, ZeroBoxes) {
  const Case c = numpy_case("3DBox_no_boxes");
  EXPECT_TRUE(c.is_volume);
  EXPECT_EQ(c.objects(), 0);
  expect_pixels<std::uint16_t>(c);
  // np.array([]) is (0,) float64.
  const medsam::testing::TemporaryFolder folder;
  medsam::testing::write_file(folder.path("2DBox_e.npz"), case_bytes(small_image(), npy("<f8", "(0,)", "")));
  EXPECT_EQ(read_case(folder.path("2DBox_e.npz"))->objects(), 0);
}

TEST(NpzCase, TheNameDecidesAndElseTheBoxes) {
  const medsam::testing::TemporaryFolder folder;
  const std::string boxes6 = npy("|u1", "(1, 6)", std::string("\0\0\0\2\2\1", 6));
  const std::string volume = case_bytes(npy("|u1", "(2, 5, 3)", std::string(30, 'x')), boxes6);
  medsam::testing::write_file(folder.path("ct.npz"), volume);
  EXPECT_TRUE(read_case(folder.path("ct.npz"))->is_volume);
  expect_refused(volume, "(N, 4)");
  const std::string boxes4 = npy("|u1", "(1, 4)", std::string("\0\0\2\2", 4));
  medsam::testing::write_file(folder.path("us.npz"), case_bytes(small_image(), boxes4));
  EXPECT_FALSE(read_case(folder.path("us.npz"))->is_volume);
  expect_refused(case_bytes(small_image(), boxes4), "(N, 6)", "3DBox_a.npz");
}

TEST(NpzCase, ALargeOneWaits) {
  const std::string path = MEDSAM_ENGINE_TEST_DATA "/npz/3DBox_fortran.npz";
  const std::uint64_t any = std::uint64_t{1} << 30;
  EXPECT_FALSE(read_case(path, {any, 100}).has_value());
  EXPECT_TRUE(read_case(path, {any, 1000}).has_value());
}

TEST(NpzCase, ALargerOneThanTheLimitIsRefused) {
  const std::string path = MEDSAM_ENGINE_TEST_DATA "/npz/3DBox_fortran.npz";
  for (const ReadLimits& limits : {ReadLimits{100, std::nullopt}, ReadLimits{100, 10}}) {
    try {
      static_cast<void>(read_case(path, limits));
      ADD_FAILURE() << "not refused";
    } catch (const InvalidArgument& e) {
      const std::string text = e.what();
      EXPECT_NE(text.find("bytes unpacked, expected at most 100; raise the limit with --max-bytes"), std::string::npos)
          << text;
    }
  }
  EXPECT_TRUE(read_case(path, {1000, std::nullopt}).has_value());
}

TEST(NpzCase, RefusesWrongArrays) {
  const std::string boxes = npy("|u1", "(1, 4)", std::string(4, '\1'));
  const auto image = [](const std::string& descr, const std::string& shape, std::size_t bytes) {
    return npy(descr, shape, std::string(bytes, '\0'));
  };
  expect_refused(case_bytes(image("<f8", "(2, 2)", 32), boxes), "float64 (2, 2)");
  expect_refused(case_bytes(image("<i4", "(2, 2)", 16), boxes), "int32 (2, 2)");
  expect_refused(case_bytes(image("|b1", "(2, 2)", 4), boxes), "bool (2, 2)");
  expect_refused(case_bytes(image("|u1", "(4,)", 4), boxes), "uint8 (4,)");
  expect_refused(case_bytes(image("|u1", "()", 1), boxes), "uint8 ()");
  expect_refused(case_bytes(image("|u1", "(2, 2, 4)", 16), boxes), "(2, 2, 4)");
  expect_refused(case_bytes(image("|u1", "(0, 5)", 0), boxes), "(0, 5)");
  expect_refused(case_bytes(image("|u1", "(2, 2, 2, 3)", 24), boxes), "(2, 2, 2, 3)");
  expect_refused(case_bytes(small_image(), npy("|u1", "(1, 5)", std::string(5, '\1'))), "(1, 5)");
  expect_refused(case_bytes(small_image(), npy("|u1", "(4,)", std::string(4, '\1'))), "(4,)");
  expect_refused(case_bytes(small_image(), npy("|u1", "(0, 5)", "")), "(0, 5)");
  expect_refused(case_bytes(small_image(), npy("|b1", "(1, 4)", std::string(4, '\1'))), "boxes: got bool");
}

TEST(NpzCase, NeverUnpickles) {
  try {
    static_cast<void>(numpy_case("2DBox_objects"));
    FAIL();
  } catch (const InvalidArgument& e) {
    EXPECT_NE(std::string(e.what()).find("object array, which is never unpickled"), std::string::npos) << e.what();
  }
  expect_refused(case_bytes(npy_with_header("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }", "x"),
                            npy("|u1", "(0, 4)", "")),
                 "structured");
}

TEST(NpzCase, RefusesHeadersThatAreNone) {
  const std::string boxes = npy("|u1", "(0, 4)", "");
  const std::string four(4, '\0');
  const auto with = [&](const std::string& dict) { return case_bytes(npy_with_header(dict, four), boxes); };
  const std::string good = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }";
  const medsam::testing::TemporaryFolder folder;
  medsam::testing::write_file(folder.path("2DBox_g.npz"), with(good));
  EXPECT_EQ(read_case(folder.path("2DBox_g.npz"))->width, 2);
  for (const char* bad : {"", "{", "{}", "{'descr': '|u1', 'fortran_order': False}", "[1]",
                          "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), } x",
                          "{'descr': '|u1', 'fortran_order': 0, 'shape': (2, 2)}",
                          "{'descr': '|u1', 'fortran_order': False, 'shape': (4)}",
                          "{'descr': '|u1', 'fortran_order': False, 'shape': (-2, -2)}",
                          "{'descr': '|u1', 'fortran_order': False, 'shape': (2 2)}",
                          "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,)}",
                          "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (2, 2)}",
                          "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), 'more': 1}",
                          "{'descr': '|u\x01', 'fortran_order': False, 'shape': (2, 2)}"}) {
    SCOPED_TRACE(bad);
    expect_refused(with(bad), "garbled");
  }
  for (const char* type : {"|u3", "<c8", "|S4", "<U1", "<M8", "<f16", "u1", "!u1", "|i", "|u1x", "<i99999999999"}) {
    SCOPED_TRACE(type);
    expect_refused(case_bytes(npy(type, "(2, 2)", four), boxes), std::string("dtype ") + type);
  }
}

TEST(NpzCase, RefusesValuesThatDoNotFillTheShape) {
  const std::string boxes = npy("|u1", "(0, 4)", "");
  for (const char* shape :
       {"(2, 3)", "(2, 1)", "(4611686018427387904, 4)", "(4294967296, 4294967296)", "(0, 2)", "(2, 0)"}) {
    SCOPED_TRACE(shape);
    expect_refused(case_bytes(npy("|u1", shape, std::string(4, '\0')), boxes), "4 bytes of values");
  }
  expect_refused(case_bytes(npy("<u2", "(1, 2)", std::string(5, '\0')), boxes), "5 bytes of values");
}

TEST(NpzCase, RefusesWhatIsNoNpy) {
  const std::string boxes = npy("|u1", "(0, 4)", "");
  std::string version = small_image(), length = small_image();
  version[6] = 4;
  length[9] = 127;
  for (const std::string& imgs : {std::string(), std::string("x"), std::string("\x93NUMPY\x01"), version, length}) {
    expect_refused(case_bytes(imgs, boxes), "no NPY array");
  }
  // Version 2 has a header length of four bytes.
  std::string two = small_image();
  two[6] = 2;
  two.insert(10, 2, '\0');
  const medsam::testing::TemporaryFolder folder;
  medsam::testing::write_file(folder.path("2DBox_two.npz"), case_bytes(two, boxes));
  expect_pixels<std::uint8_t>(*read_case(folder.path("2DBox_two.npz")));
}

TEST(NpzCase, AFileWithoutItsKeys) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path("a.npz");
  testing::write_file(path, testing::ZipMaker().add("imgs.npy", testing::small_image()).bytes());
  EXPECT_NE(testing::raised<InvalidArgument>([&] { read_case(path); }).find("no key boxes (keys: imgs.npy)"),
            std::string::npos);
  testing::ZipMaker zip;
  zip.add("imgs.npy", testing::small_image());
  zip.before_end = std::string("PK\x06\x07", 4) + std::string(4, '\0') + std::string(8, '\x7f') + std::string(4, '\0');
  testing::write_file(path, zip.bytes());
  EXPECT_NE(testing::raised<InvalidArgument>([&] { read_case(path); }).find("zip64 record is missing"),
            std::string::npos);
}

}  // namespace
}  // namespace medsam::npz
