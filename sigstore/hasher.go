package sigstore

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
	"strconv"
	"time"
)

// hasher hashes lists of texts. Each is written with its length, so that no two
// lists look alike.
type hasher struct{ hash hash.Hash }

func newHasher() *hasher { return &hasher{sha256.New()} }

func (h *hasher) add(parts ...string) {
	for _, p := range parts {
		h.hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.hash.Write([]byte(p))
	}
}

func (h *hasher) addMap(m map[string]string) {
	h.add(strconv.Itoa(len(m)))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		h.add(name, m[name])
	}
}

func (h *hasher) sum() string { return hex.EncodeToString(h.hash.Sum(nil)) }

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// second is a time as messages tell it.
func second(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// period is a time from one to another as messages tell it; zero is unbounded.
func period(from, until time.Time) string {
	switch {
	case from.IsZero() && until.IsZero():
		return "at any time"
	case from.IsZero():
		return "to " + second(until)
	case until.IsZero():
		return "from " + second(from)
	}
	return "from " + second(from) + " to " + second(until)
}
