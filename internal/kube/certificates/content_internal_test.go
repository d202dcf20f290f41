package certificates

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// FuzzParse holds that what parses can be served and written again alike.
func FuzzParse(f *testing.F) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	l := lives{ca: DefaultCALife, leaf: DefaultLeafLife, overlap: DefaultOverlap}
	first, err := fresh(now, l, []string{"a.example.com"}, nil, step{})
	if err != nil {
		f.Fatal(err)
	}
	second, err := first.to.announce(now, l, step{})
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range []*content{first.to, second.to} {
		data, err := c.data()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data["tls.crt"], data["tls.key"], data["ca.crt"], data["ca.key"])
	}
	f.Add([]byte(nil), []byte("-----BEGIN"), []byte{0}, []byte("x"))
	f.Fuzz(func(t *testing.T, leaf, key, authorities, keys []byte) {
		c, err := parse(map[string][]byte{"tls.crt": leaf, "tls.key": key, "ca.crt": authorities, "ca.key": keys})
		if err != nil {
			return
		}
		data, err := c.data()
		if err != nil {
			t.Fatalf("write again: %v", err)
		}
		again, err := parse(data)
		if err != nil {
			t.Fatalf("read again: %v", err)
		}
		if !again.equal(c) || cmp.Diff(c.bundle(), again.bundle()) != "" {
			t.Error("want the same content")
		}
	})
}
