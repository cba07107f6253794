#include "common/roles/slot-store.h"

#include <filesystem>
#include <fstream>
#include <random>

#include <catch2/catch.hpp>

#include "common/roles/slot-store-folder.h"
#include "tests/unit/roles/fake-slot-files.h"

using namespace pgtandem;
using pgtandem::testing::FakeDisk;
using pgtandem::testing::FakeSlotFiles;

namespace {

std::unique_ptr<SlotStore> store_on(FakeDisk& disk) {
  return std::make_unique<TwoSlotStore>(std::make_unique<FakeSlotFiles>(disk));
}

Slot slot_of(Epoch epoch) {
  Slot slot;
  slot.node = Node::a;
  slot.epoch = slot.highest_seen = epoch;
  return slot;
}

LoadedSlots load_from(FakeDisk& disk) {
  return store_on(disk)->load();
}

/// A folder of its own, removed on every way out.
struct TemporaryFolder {
  TemporaryFolder() {
    const std::string name = "pgtandem-slots-" + std::to_string(std::random_device()());
    path = (std::filesystem::temp_directory_path() / name).string();
    if (!std::filesystem::create_directory(path)) throw std::runtime_error(path + " is there already");
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string path;
};

}  // namespace

TEST_CASE("no files are a first start, and unreadable files are not") {
  FakeDisk disk;
  CHECK(load_from(disk).found == SlotsFound::none);
  disk.unreadable = true;
  const LoadedSlots loaded = load_from(disk);
  CHECK(loaded.found == SlotsFound::bad);
  CHECK(loaded.note.find("Input/output error") != std::string::npos);
}

TEST_CASE("the newest slot is found after every write, whichever file it is in") {
  FakeDisk disk;
  const auto store = store_on(disk);
  CHECK(store->load().found == SlotsFound::none);
  for (Epoch epoch = 1; epoch < 8; ++epoch) {
    REQUIRE(store->write(slot_of(epoch)).ok());
    disk.crash();
    const LoadedSlots loaded = load_from(disk);
    REQUIRE(loaded.found == SlotsFound::usable);
    CHECK(loaded.slot.epoch == epoch);
    CHECK(loaded.slot.sequence == epoch);
  }
}

TEST_CASE(
    "with one file flipped in any byte or cut at any length the other gives the same state, with both none") {
  FakeDisk sound;
  const auto store = store_on(sound);
  REQUIRE(store->write(slot_of(1)).ok());
  REQUIRE(store->write(slot_of(2)).ok());
  for (const int index : {0, 1}) {
    for (std::size_t at = 0; at < kSlotBytes; ++at) {
      FakeDisk flipped = sound;
      flipped.durable[index][at] = char(flipped.durable[index][at] ^ 0x20);
      FakeDisk cut = sound;
      cut.durable[index].resize(at);
      for (FakeDisk* disk : {&flipped, &cut}) {
        INFO("file " << index << " at " << at);
        const LoadedSlots loaded = load_from(*disk);
        REQUIRE(loaded.found == SlotsFound::usable);
        CHECK(loaded.slot.epoch == 2);
        CHECK(loaded.note.find("role-" + std::to_string(index)) != std::string::npos);
        disk->durable[1 - index][at] = char(disk->durable[1 - index][at] ^ 0x01);
        CHECK(load_from(*disk).found == SlotsFound::bad);
      }
    }
  }
}

TEST_CASE(
    "a crash at any point of a write leaves the old state or the new one, never none and never a mixture") {
  for (int operation = 0; operation < 4; ++operation) {
    for (std::size_t torn = 0; torn <= kSlotBytes; torn += 3) {
      FakeDisk disk;
      const auto store = store_on(disk);
      REQUIRE(store->write(slot_of(5)).ok());
      disk.operations = 0;
      disk.fail_after = operation;
      CHECK_FALSE(store->write(slot_of(6)).ok());
      disk.crash_torn(torn);
      const LoadedSlots loaded = load_from(disk);
      INFO("operation " << operation << " torn at " << torn);
      REQUIRE(loaded.found == SlotsFound::usable);
      CHECK((loaded.slot.epoch == 5 || loaded.slot.epoch == 6));
      if (operation == 0) CHECK(loaded.slot.epoch == 5);
      if (operation >= 2) CHECK(loaded.slot.epoch == 6);
    }
  }
}

TEST_CASE("after a failed write the only whole copy is not the one that is written next") {
  for (int operation = 0; operation < 4; ++operation) {
    FakeDisk disk;
    const auto store = store_on(disk);
    REQUIRE(store->write(slot_of(5)).ok());
    for (int attempt = 0; attempt < 3; ++attempt) {
      disk.operations = 0;
      disk.fail_after = operation;
      CHECK_FALSE(store->write(slot_of(6)).ok());
      FakeDisk copy = disk;
      copy.crash_torn(kSlotBytes / 2);
      CHECK(load_from(copy).found == SlotsFound::usable);
    }
    disk.fail_after = -1;
    REQUIRE(store->write(slot_of(7)).ok());
    disk.crash();
    CHECK(load_from(disk).slot.epoch == 7);
  }
}

TEST_CASE("on a real file system slots survive the store, and two relays never share a state folder") {
  const TemporaryFolder folder;
  const std::string state_dir = folder.path + "/state";
  {
    Result<std::unique_ptr<SlotStore>> store = open_slot_store(state_dir);
    REQUIRE(store.ok());
    CHECK((*store)->load().found == SlotsFound::none);
    REQUIRE((*store)->write(slot_of(3)).ok());

    const Result<std::unique_ptr<SlotStore>> second = open_slot_store(state_dir);
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().find(state_dir) != std::string::npos);
    CHECK(second.error().find("another relay") != std::string::npos);
  }
  Result<std::unique_ptr<SlotStore>> store = open_slot_store(state_dir);
  REQUIRE(store.ok());
  CHECK((*store)->load().slot.epoch == 3);
  std::ofstream(state_dir + "/role-0", std::ios::app) << "longer";
  CHECK((*store)->load().found == SlotsFound::usable);
  std::ofstream(state_dir + "/role-1", std::ios::trunc) << "";
  CHECK((*store)->load().found == SlotsFound::bad);
  REQUIRE((*store)->write(slot_of(4)).ok());
  CHECK((*store)->load().slot.epoch == 4);
}

#ifndef _WIN32  // the means of these are Unix's
TEST_CASE("a disk without room is an error that names the file and leaves the old state") {
  const TemporaryFolder folder;
  Result<std::unique_ptr<SlotStore>> store = open_slot_store(folder.path);
  REQUIRE(store.ok());
  REQUIRE((*store)->write(slot_of(3)).ok());
  std::filesystem::remove(folder.path + "/role-0");
  std::filesystem::remove(folder.path + "/role-1");
  std::filesystem::create_symlink("/dev/full", folder.path + "/role-0");
  std::filesystem::create_symlink("/dev/full", folder.path + "/role-1");
  const Result<void> written = (*store)->write(slot_of(4));
  REQUIRE_FALSE(written.ok());
  CHECK(written.error().find("role-") != std::string::npos);
}

TEST_CASE("a state folder that cannot be made is an error that names it") {
  const Result<std::unique_ptr<SlotStore>> store = open_slot_store("/proc/no/such/folder");
  REQUIRE_FALSE(store.ok());
  CHECK(store.error().find("/proc/no/such/folder") != std::string::npos);
}
#endif
