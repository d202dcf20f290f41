package imageref

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"strings"
)

// Digest names content by its hash: an algorithm and its hexadecimal value. It
// is comparable and can be a map key. The zero Digest names nothing.
//
// Only the algorithms that the OCI image specification registers are accepted
// (descriptor.md, "Registered Algorithms"): sha256 and sha512.
type Digest struct {
	s string // algorithm ":" lower-case hex, or "" for the zero value
}

// hexLength is never written to.
var hexLength = map[string]int{"sha256": 2 * sha256.Size, "sha512": 2 * sha512.Size}

// ParseDigest reads "sha256:<64 hex>" or "sha512:<128 hex>". Upper-case
// hexadecimal is refused, as the specification asks. The error wraps
// [ErrDigest].
func ParseDigest(s string) (Digest, error) {
	algorithm, value, found := strings.Cut(s, ":")
	if !found {
		return Digest{}, fmt.Errorf("%w: expected <algorithm>:<hex>, got %q", ErrDigest, clip(s))
	}
	want, known := hexLength[algorithm]
	if !known {
		return Digest{}, fmt.Errorf("%w: expected algorithm sha256 or sha512, got %q", ErrDigest, clip(algorithm))
	}
	if len(value) != want {
		return Digest{}, fmt.Errorf("%w: expected %d hexadecimal characters after %q, got %d", ErrDigest, want, algorithm+":", len(value))
	}
	for i := range len(value) {
		if c := value[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return Digest{}, fmt.Errorf("%w: expected lower-case hexadecimal, got %q", ErrDigest, clip(value))
		}
	}
	return Digest{s: s}, nil
}

// MustParseDigest is ParseDigest for constants; it panics on a bad one.
func MustParseDigest(s constant) Digest {
	d, err := ParseDigest(string(s))
	if err != nil {
		panic(err)
	}
	return d
}

// DigestOf returns the sha256 digest of content.
func DigestOf(content []byte) Digest {
	sum := sha256.Sum256(content)
	return Digest{s: "sha256:" + hex.EncodeToString(sum[:])}
}

// IsZero reports whether d names nothing.
func (d Digest) IsZero() bool { return d.s == "" }

// String returns "<algorithm>:<hex>", or "" for the zero Digest.
func (d Digest) String() string { return d.s }

// Algorithm returns "sha256" or "sha512", or "" for the zero Digest.
func (d Digest) Algorithm() string {
	algorithm, _, _ := strings.Cut(d.s, ":")
	return algorithm
}

// Hex returns the lower-case hexadecimal value without the algorithm.
func (d Digest) Hex() string {
	_, value, _ := strings.Cut(d.s, ":")
	return value
}

// Names reports whether d is the digest of content. The zero Digest names no
// content, the empty content included.
func (d Digest) Names(content []byte) bool {
	switch d.Algorithm() {
	case "sha256":
		return d == DigestOf(content)
	case "sha512":
		sum := sha512.Sum512(content)
		return d.Hex() == hex.EncodeToString(sum[:])
	}
	return false
}
