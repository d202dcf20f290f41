package imageref_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/imageref"
)

func FuzzPattern(f *testing.F) {
	for _, seed := range []struct{ pattern, image string }{
		{"nginx", "nginx:1"}, {"**", "a.b/c"}, {"**:v*", "a.b/c:v1"}, {"ghcr.io/acme/**", "ghcr.io/acme"}, {"ghcr.io/**/a/**/b", "ghcr.io/a/a/b"},
		{"*.docker.io/nginx", "registry-1.docker.io/nginx"}, {"*.io:*/a*b*", "k.io:5000/aab"}, {"nginx:1@" + digestA, "nginx@" + digestA},
		{"docker.io/*", "library/nginx"}, {"*:443/x", "X/x"}, {"index.docker.io:*/a", "docker.io/library/a"}, {"a/**", "a/b"}, {"[fd00::1]/a*", "[FD00:0::1]:443/ab"},
	} {
		f.Add(seed.pattern, seed.image)
	}
	f.Fuzz(func(t *testing.T, s, image string) {
		p, err := imageref.ParsePattern(s)
		if err != nil {
			if !errors.Is(err, imageref.ErrPattern) || !p.IsZero() {
				t.Fatalf("ParsePattern(%q): want the zero Pattern and ErrPattern, got %q, %v", s, p, err)
			}
			return
		}
		if again, err := imageref.ParsePattern(p.String()); err != nil || again != p {
			t.Fatalf("%q: want it to read back as itself, got %q, %v", s, again, err)
		}
		r, err := imageref.Parse(image)
		if err != nil {
			return
		}
		slow := newSlowPattern(t, s)
		if got, want := p.Includes(r), slow.includes(r); got != want {
			t.Fatalf("%q includes %q: want %t, got %t", s, image, want, got)
		}
		if got, want := p.Excludes(r), slow.excludes(r); got != want {
			t.Fatalf("%q excludes %q: want %t, got %t", s, image, want, got)
		}
		if p.Excludes(r) && !p.Includes(r) {
			t.Fatalf("%q excludes %q without including it", s, image)
		}
	})
}

// slowPattern says by regular expressions what a valid pattern means.
type slowPattern struct {
	every, untagged    bool
	starHost           bool
	host               *regexp.Regexp // over "name:port"
	within, below, tag *regexp.Regexp // below: "/**" at the end takes a segment
	digest             string
}

func newSlowPattern(t *testing.T, s string) slowPattern {
	var p slowPattern
	s, p.digest, _ = strings.Cut(s, "@")
	name, tag := s, "*"
	p.untagged = true
	if i := strings.LastIndex(s, ":"); i > strings.LastIndex(s, "/") {
		name, tag, p.untagged = s[:i], s[i+1:], false
	}
	p.tag = stars(tag, `.*`)
	if name == "**" {
		p.every = true
		return p
	}
	host, path, found := strings.Cut(name, "/")
	if !found || host != "localhost" && !strings.ContainsAny(host, ".:") {
		host, path = "docker.io", name
	}
	if p.starHost = strings.Contains(host, "*"); p.starHost {
		host = strings.ToLower(host)
	} else {
		host = parse(t, host+"/x").Repository().Host()
	}
	if host == "docker.io" && path != "**" && !strings.Contains(path, "/") {
		path = "library/" + path
	}
	p.host = stars(withPort(host), `[^.:\[\]]*`)
	var within, below strings.Builder
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		switch {
		case segment != "**":
			literal := strings.ReplaceAll(regexp.QuoteMeta(segment), `\*`, `[^/]*`) + "/"
			within.WriteString(literal)
			below.WriteString(literal)
		case i > 0 && i == len(segments)-1:
			within.WriteString(`(?:[^/]+/)*`)
			below.WriteString(`(?:[^/]+/)+`)
		default:
			within.WriteString(`(?:[^/]+/)*`)
			below.WriteString(`(?:[^/]+/)*`)
		}
	}
	p.within = regexp.MustCompile("^" + within.String() + "$")
	p.below = regexp.MustCompile("^" + below.String() + "$")
	return p
}

// withPort spells the default port out, so that every host has one.
func withPort(host string) string {
	if i := strings.LastIndex(host, ":"); i >= 0 && !strings.HasSuffix(host, "]") {
		return host
	}
	return host + ":443"
}

func stars(s, run string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(s), `\*`, run) + "$")
}

func (p slowPattern) onHost(host string) bool {
	return p.host.MatchString(withPort(host))
}

func (p slowPattern) includes(r imageref.Reference) bool {
	named := p.every
	if !named {
		host, path := r.Repository().Host(), r.Repository().Path()
		paths, hosts := []string{path}, []string{host}
		if p.starHost && host == "docker.io" {
			paths = append(paths, strings.TrimPrefix(path, "library/"))
			hosts = append(hosts, "index.docker.io", "registry-1.docker.io", "registry.docker.io", "registry.hub.docker.com",
				"registry.ipv6.docker.com", "hub.docker.com", "www.docker.com")
		}
		named = slices.ContainsFunc(hosts, p.onHost) && slices.ContainsFunc(paths, func(path string) bool { return p.within.MatchString(path + "/") })
	}
	if r.Digest().IsZero() {
		return named && p.tag.MatchString(r.Tag())
	}
	return named && (p.digest == "" || p.digest == r.Digest().String())
}

func (p slowPattern) excludes(r imageref.Reference) bool {
	named := p.every || p.onHost(r.Repository().Host()) && p.below.MatchString(r.Repository().Path()+"/")
	if r.Digest().IsZero() {
		return named && p.digest == "" && p.tag.MatchString(r.Tag())
	}
	return named && p.untagged && (p.digest == "" || p.digest == r.Digest().String())
}
