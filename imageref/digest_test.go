package imageref_test

import (
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/imageref"
)

const (
	sha256Empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	hexA        = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hexB        = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	digestA     = "sha256:" + hexA
	digestB     = "sha256:" + hexB
)

func TestR2ParseDigest(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     string
		valid  bool
	}{
		"Sha256":          {"the usual algorithm", digestA, true},
		"Sha512":          {"the other registered algorithm", "sha512:" + hexA + hexB, true},
		"Empty":           {"nothing names nothing", "", false},
		"NoAlgorithm":     {"the algorithm is part of a digest", hexA, false},
		"Sha384":          {"not registered by the OCI image specification", "sha384:" + hexA + strings.Repeat("b", 32), false},
		"Md5":             {"a weak algorithm", "md5:" + strings.Repeat("a", 32), false},
		"UpperAlgorithm":  {"one digest has one spelling", "SHA256:" + hexA, false},
		"UpperHex":        {"one digest has one spelling", "sha256:" + strings.ToUpper(hexA), false},
		"Short":           {"a prefix of a digest", "sha256:" + hexA[1:], false},
		"Long":            {"more than the algorithm makes", digestA + "a", false},
		"LengthOfAnother": {"the length belongs to the algorithm", "sha512:" + hexA, false},
		"Path":            {"the string goes into URLs and paths", "sha256:" + "../" + hexA[3:], false},
		"TwoColons":       {"an algorithm has no colon", "sha256:" + digestA, false},
		"Space":           {"spaces are not trimmed", digestA + " ", false},
		"Newline":         {"$ must not stop before a newline", digestA[:len(digestA)-1] + "\n", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d, err := imageref.ParseDigest(c.in)
			if (err == nil) != c.valid {
				t.Fatalf("%s: ParseDigest(%q): want valid %t, got error %v", c.reason, c.in, c.valid, err)
			}
			if err != nil {
				if !errors.Is(err, imageref.ErrDigest) || !d.IsZero() {
					t.Errorf("%s: want the zero Digest and ErrDigest, got %q and %v", c.reason, d, err)
				}
				return
			}
			if d.String() != c.in || d.Algorithm()+":"+d.Hex() != c.in || d.IsZero() {
				t.Errorf("%s: want the parts of %q, got %q and %q", c.reason, c.in, d.Algorithm(), d.Hex())
			}
		})
	}
}

func TestDigestNamesItsContentAlone(t *testing.T) {
	content := []byte("content")
	sum := sha512.Sum512(content)
	long, err := imageref.ParseDigest("sha512:" + hex.EncodeToString(sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []imageref.Digest{imageref.DigestOf(content), long} {
		if !d.Names(content) {
			t.Errorf("%s: want it to name its content", d)
		}
		if d.Names([]byte("other")) || d.Names(nil) {
			t.Errorf("%s: want it to name nothing else", d)
		}
	}
	if d := imageref.DigestOf(nil); d.String() != sha256Empty || !d.Names(nil) {
		t.Errorf("want the digest of nothing, got %s", d)
	}
	if (imageref.Digest{}).Names(nil) {
		t.Error("the zero Digest names the empty content")
	}
}

func TestMustParseDigestPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("want a panic")
		}
	}()
	imageref.MustParseDigest("sha256:no")
}

func FuzzParseDigest(f *testing.F) {
	for _, s := range []string{digestA, "sha512:" + hexA + hexB, "", ":", "sha256:", strings.ToUpper(digestA), digestA + "@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := imageref.ParseDigest(s)
		if err != nil {
			if !errors.Is(err, imageref.ErrDigest) || !d.IsZero() {
				t.Fatalf("ParseDigest(%q): want the zero Digest and ErrDigest, got %q, %v", s, d, err)
			}
			return
		}
		raw, err := hex.DecodeString(d.Hex())
		if err != nil || d.String() != s || strings.ToLower(s) != s {
			t.Fatalf("ParseDigest(%q) = %q: %v", s, d, err)
		}
		if want := map[string]int{"sha256": 32, "sha512": 64}[d.Algorithm()]; len(raw) != want {
			t.Fatalf("ParseDigest(%q): want %d bytes, got %d", s, want, len(raw))
		}
	})
}
