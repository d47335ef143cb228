package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// version is that of the format of a segment. A segment of a later one is not touched.
const version = 1

const (
	magic       = "MRSPOOL"
	headerBytes = len(magic) + 1 + 8
	// entryBytes is what an entry takes beside its bytes: length, checksum, time.
	entryBytes = 4 + 4 + 8
	// sealed stands in place of a length. Behind it comes a checksum of the segment's number.
	sealed    = 0xFFFFFFFF
	sealBytes = 4 + 4
	// MaxEntry bounds the bytes of an entry.
	MaxEntry = 64 << 20

	suffix = ".segment"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendHeader appends the header of segment n.
func appendHeader(dst []byte, n uint64) []byte {
	dst = append(append(dst, magic...), version)
	return binary.LittleEndian.AppendUint64(dst, n)
}

// checkHeader reports whether the header of segment n, of which text is the beginning, is whole. It
// is not where the process died at once, or the machine did: a file system may keep the length of a
// file that was never synced, and not its bytes. Nor is it where its bytes have rotted; the entries
// behind it may be whole then. An error is that of another version.
func checkHeader(text []byte, n uint64, path string) (whole bool, err error) {
	if len(text) < headerBytes || string(text[:len(magic)]) != magic {
		return false, nil
	}
	if of := text[len(magic)]; of == 0 || of > version {
		return false, fmt.Errorf("%s has version %d of the format; this program reads 1 to %d", path, of, version)
	}
	return binary.LittleEndian.Uint64(text[len(magic)+1:]) == n, nil
}

// zeros reports whether b has no other bytes.
func zeros(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 })
}

// appendEntry appends an entry of segment n. The segment's number is part of the checksum, so
// that the entry counts in no other.
func appendEntry(dst []byte, n uint64, at time.Time, data []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(data)))
	dst = append(dst, 0, 0, 0, 0)
	body := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(at.UnixNano()))
	dst = append(dst, data...)
	binary.LittleEndian.PutUint32(dst[body-4:], checksum(n, dst[body:]))
	return dst
}

func appendSeal(dst []byte, n uint64) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, sealed)
	return binary.LittleEndian.AppendUint32(dst, checksum(n, nil))
}

func checksum(n uint64, body []byte) uint32 {
	var number [8]byte
	binary.LittleEndian.PutUint64(number[:], n)
	return crc32.Update(crc32.Checksum(number[:], castagnoli), castagnoli, body)
}

// hasSeal reports whether a segment ends with its seal.
func hasSeal(text []byte, n uint64) bool {
	return len(text) >= sealBytes && string(text[len(text)-sealBytes:]) == string(appendSeal(nil, n))
}

// errBroken is the error of bytes that are no whole entry.
var errBroken = errors.New("there is no whole entry")

// entryAt reads the entry at offset at of segment n, in b that holds what the file has from
// there on, at least as much as need asks for. need is how many bytes the entry takes; more
// than b has is a request to call again with them.
func entryAt(b []byte, n uint64) (data []byte, at time.Time, need int, err error) {
	if len(b) < 8 {
		return nil, at, 8, errBroken
	}
	length, sum := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if length == 0 || length > MaxEntry {
		return nil, at, 8, errBroken
	}
	need = entryBytes + int(length)
	if len(b) < need {
		return nil, at, need, errBroken
	}
	if checksum(n, b[8:need]) != sum {
		return nil, at, need, errBroken
	}
	return b[entryBytes:need:need], time.Unix(0, int64(binary.LittleEndian.Uint64(b[8:]))), need, nil
}

// segmentPath is where segment n is.
func (s *Spool) segmentPath(n uint64) string {
	return filepath.Join(s.dir, segmentName(n))
}

func segmentName(n uint64) string { return fmt.Sprintf("%020d%s", n, suffix) }

// segmentsIn returns the numbers of the segments in a folder, in order.
func segmentsIn(dir string) (numbers []uint64, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list the spool: %w", err)
	}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), suffix)
		if n, err := strconv.ParseUint(name, 10, 64); ok && err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// syncDir makes the names in a folder last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
