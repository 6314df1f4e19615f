// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The elements of one DICOM file, checked where they are read, as medsam_engine.io.dicom.tags does: nothing later meets text
// where numbers belong, one number too few, or an element that a damaged header has swallowed.
import dicomParser from "dicom-parser";

// Tags by their keywords.
const TAGS = {
  TransferSyntaxUID: "x00020010", Modality: "x00080060", SOPInstanceUID: "x00080018", SliceThickness: "x00180050",
  SpacingBetweenSlices: "x00180088", ImagerPixelSpacing: "x00181164", NominalScannedPixelSpacing: "x00182010", EchoNumbers: "x00180086",
  SeriesInstanceUID: "x0020000e", ImagePositionPatient: "x00200032", ImageOrientationPatient: "x00200037", FrameOfReferenceUID: "x00200052",
  TemporalPositionIdentifier: "x00200100", SamplesPerPixel: "x00280002", PhotometricInterpretation: "x00280004",
  PlanarConfiguration: "x00280006", NumberOfFrames: "x00280008", Rows: "x00280010", Columns: "x00280011", PixelSpacing: "x00280030",
  BitsAllocated: "x00280100", BitsStored: "x00280101", HighBit: "x00280102", PixelRepresentation: "x00280103",
  PixelPaddingValue: "x00280120", PixelPaddingRangeLimit: "x00280121", RescaleIntercept: "x00281052", RescaleSlope: "x00281053",
  RescaleType: "x00281054", ModalityLUTSequence: "x00283000", PerFrameFunctionalGroupsSequence: "x52009230", PixelData: "x7fe00010",
};
// Those that voxels or geometry depend on: 16 bits, or decimal text of so many numbers.
const BINARY = [
  "Rows", "Columns", "SamplesPerPixel", "PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
  "PixelPaddingValue", "PixelPaddingRangeLimit",
];
const TEXT = {
  NumberOfFrames: 1, RescaleSlope: 1, RescaleIntercept: 1, SliceThickness: 1, SpacingBetweenSlices: 1, ImagePositionPatient: 3,
  ImageOrientationPatient: 6, PixelSpacing: 2, ImagerPixelSpacing: 2, NominalScannedPixelSpacing: 2,
};
// Type 1 of PS3.3 C.7.6.3: no value can be taken for one that is missing.
const NEEDED = ["Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation"];
// PS3.5 6.2. After a damaged one, a length is read where there is none, and elements are swallowed.
const REPRESENTATIONS = new Set(
  ("AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV").split(" "),
);
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const SHOWN = 60;

export class Header {
  #data;

  // Throws for what is no whole file, or has a header that was damaged.
  constructor(bytes, name) {
    this.name = name;
    try {
      this.#data = dicomParser.parseDicom(bytes);
    } catch (error) {
      throw new Error(`image: got ${name}, expected a whole DICOM file; it is cut off or damaged (${error.exception ?? error.message ?? error})`);
    }
    for (const { tag, vr } of Object.values(this.#data.elements)) {
      if (vr !== undefined && !REPRESENTATIONS.has(vr)) throw new Error(`image: got an element ${tag.slice(1)} of no type that DICOM has in ${name}, expected a sound header; the file is damaged`);
    }
  }

  // Of an image: throws where an attribute is missing, no number, or of too many or too few.
  checkNumbers() {
    for (const keyword of NEEDED) if (!this.#filled(keyword)) throw new Error(`image: got no ${keyword} in ${this.name}, expected an image's; restore the tag`);
    for (const keyword of BINARY) {
      if (!this.#filled(keyword)) continue;
      const { length, vr = "US" } = this.#element(keyword);
      if (length !== 2 || !["US", "SS", "UN"].includes(vr)) this.#refuse(keyword, `${length} bytes of ${vr}`, "one number of 16 bits");
    }
    for (const [keyword, count] of Object.entries(TEXT)) {
      if (!this.#filled(keyword)) continue;
      const { vr = "DS" } = this.#element(keyword), parts = this.#parts(keyword);
      const sound = ["DS", "IS", "UN"].includes(vr) && parts.length === count && parts.every((part) => DECIMAL.test(part) && Number.isFinite(Number(part)));
      if (!sound) this.#refuse(keyword, `'${printable(this.text(keyword))}'`, `${count === 1 ? "a number" : `${count} numbers`} with a decimal point`);
    }
  }

  #refuse(keyword, got, expected) {
    throw new Error(`image: got ${got} for ${keyword} in ${this.name}, expected ${expected}; correct the tag`);
  }

  #element(keyword) { return this.#data.elements[TAGS[keyword]]; }
  #filled(keyword) { return this.has(keyword) && (BINARY.includes(keyword) ? this.#element(keyword).length > 0 : this.text(keyword) !== ""); }
  #parts(keyword) { return this.text(keyword).split("\\").map((part) => part.trim()); }

  has(keyword) { return Boolean(this.#element(keyword)); }
  text(keyword) { return (this.#data.string(TAGS[keyword]) ?? "").trim(); }
  whole(keyword) { return this.#filled(keyword) ? this.#data.uint16(TAGS[keyword]) : undefined; }
  // Where they are filled in, as many as there have to be (checkNumbers); null where they are not.
  numbers(keyword) { return this.#filled(keyword) ? this.#parts(keyword).map(Number) : null; }
  number(keyword) { return this.numbers(keyword)?.[0]; }

  // Where the pixels lie in the file.
  pixels() { return this.#element("PixelData"); }
}

const printable = (text) => text.replace(/[^\x20-\x7e]/g, "?").slice(0, SHOWN);
