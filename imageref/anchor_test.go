package imageref_test

import (
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/imageref"
)

func TestPatternAnchor(t *testing.T) {
	cases := map[string]struct{ pattern, host, segments string }{
		"Literal":       {"ghcr.io/acme/app", "ghcr.io", "acme/app"},
		"Below":         {"ghcr.io/acme/**", "ghcr.io", "acme"},
		"StarWithin":    {"ghcr.io/acme/team/app-*/**", "ghcr.io", "acme/team"},
		"StarSegment":   {"ghcr.io/acme-*/app", "ghcr.io", ""},
		"AnyPath":       {"ghcr.io/**", "ghcr.io", ""},
		"Everything":    {"**", "", ""},
		"StarHost":      {"*.gcr.io/acme/app", "", ""},
		"AnyPort":       {"reg.test:*/acme/app", "", ""},
		"Alias":         {"index.docker.io/acme/app", "docker.io", "acme/app"},
		"Official":      {"nginx", "docker.io", "library/nginx"},
		"WithTag":       {"ghcr.io/acme/app:v*", "ghcr.io", "acme/app"},
		"OneSegment":    {"reg.test/app", "reg.test", "app"},
		"DefaultPort":   {"GHCR.io:443/acme/app", "ghcr.io", "acme/app"},
		"NothingAtZero": {"", "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var p imageref.Pattern
			if c.pattern != "" {
				var err error
				if p, err = imageref.ParsePattern(c.pattern); err != nil {
					t.Fatal(err)
				}
			}
			if host, segments := p.Anchor(); host != c.host || segments != c.segments {
				t.Errorf("want %q %q, got %q %q", c.host, c.segments, host, segments)
			}
		})
	}
}

// Whatever a pattern includes or excludes has its anchor: an index by anchors misses nothing.
func FuzzPatternAnchor(f *testing.F) {
	for _, seed := range [][2]string{
		{"ghcr.io/acme/**", "ghcr.io/acme"}, {"ghcr.io/acme/**", "GHCR.IO:443/acme/app:1"}, {"nginx", "docker.io/nginx"},
		{"*.docker.io/nginx", "nginx"}, {"*.docker.io/acme/app", "acme/app"}, {"**", "a/b"}, {"docker.io/**", "registry-1.docker.io/x"},
		{"reg.test:*/a/b", "reg.test/a/b"}, {"docker.io/library/*", "busybox"}, {"localhost/*/b", "localhost/a/b"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, reference string) {
		p, err := imageref.ParsePattern(pattern)
		if err != nil {
			return
		}
		r, err := imageref.Parse(reference)
		if err != nil || !p.Includes(r) && !p.Excludes(r) {
			return
		}
		host, segments := p.Anchor()
		begins := strings.HasPrefix(r.Repository().Path()+"/", segments+"/")
		if host != "" && host != r.Repository().Host() || segments != "" && !begins {
			t.Errorf("%q means %q, which does not have its anchor %q %q", pattern, reference, host, segments)
		}
	})
}
