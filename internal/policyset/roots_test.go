package policyset

import (
	"errors"
	"strconv"
	"testing"

	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/trust"
	"github.com/bonafide-dev/bonafide/sigstore"
)

var _ Material = (*trust.Keeper)(nil)

func TestRootCache(t *testing.T) {
	var parsed int
	parse := func() (*sigstore.TrustedRoot, error) {
		parsed++
		return sigstore.PublicGood()
	}
	get := func(c *rootCache, name string) *sigstore.TrustedRoot {
		t.Helper()
		root, err := c.get(imageref.DigestOf([]byte(name)), parse)
		if err != nil || root == nil {
			t.Fatal(err)
		}
		return root
	}
	c := &rootCache{}
	if first, again := get(c, "a"), get(c, "a"); first != again || parsed != 1 {
		t.Errorf("expected one content to be parsed once, got %d", parsed)
	}
	if get(c, "a") == get(c, "b") {
		t.Error("expected another root of another content")
	}
	for i := range 2 * maxRoots {
		get(c, strconv.Itoa(i))
	}
	if len(c.roots) > maxRoots {
		t.Errorf("R1: expected at most %d roots to be kept, got %d", maxRoots, len(c.roots))
	}
	parsed = 0
	if first, again := get(nil, "a"), get(nil, "a"); first == again || parsed != 2 {
		t.Error("expected no cache to keep nothing")
	}
	boom := errors.New("boom")
	for range 2 {
		if _, err := c.get(imageref.DigestOf([]byte("broken")), func() (*sigstore.TrustedRoot, error) { return nil, boom }); !errors.Is(err, boom) {
			t.Errorf("expected the error, and that it is not remembered, got %v", err)
		}
	}
	get(c, "broken")
}
