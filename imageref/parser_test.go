package imageref_test

import (
	"errors"
	"testing"

	"github.com/bonafide-dev/bonafide/imageref"
)

func TestR11OperatorAliases(t *testing.T) {
	p, err := imageref.NewParser(map[string]string{"Mirror.corp:443": "index.docker.io", "cache.corp:5000": "GHCR.io:443", "old": "registry.corp"})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct{ reason, in, want string }{
		"DockerHub":    {"an alias of Docker Hub has official images", "mirror.corp/nginx", "docker.io/library/nginx:latest"},
		"Case":         {"normalised before it is looked up", "MIRROR.corp:443/acme/app", "docker.io/acme/app:latest"},
		"Port":         {"the port is part of the host", "cache.corp:5000/acme/app:v1", "ghcr.io/acme/app:v1"},
		"OtherPort":    {"another port is another host", "cache.corp/acme/app:v1", "cache.corp/acme/app:v1"},
		"SingleLabel":  {"hosts without a dot too", "old:443/app", "registry.corp/app:latest"},
		"BuiltIn":      {"Docker Hub's own aliases stay", "registry-1.docker.io/nginx", "docker.io/library/nginx:latest"},
		"NotAnAlias":   {"other hosts stay", "quay.io/acme/app", "quay.io/acme/app:latest"},
		"PathNotAlias": {"a path is no host", "old/app", "docker.io/old/app:latest"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := p.Parse(c.in)
			if err != nil || r.String() != c.want || r.Original() != c.in {
				t.Errorf("%s: want %q, got %q, %v", c.reason, c.want, r, err)
			}
		})
	}
}

func TestNewParserRefuses(t *testing.T) {
	cases := map[string]struct {
		reason  string
		aliases map[string]string
	}{
		"MalformedKey":   {"a key is a host", map[string]string{"a/b": "ghcr.io"}},
		"MalformedValue": {"a value is a host", map[string]string{"mirror.corp": "https://ghcr.io"}},
		"DockerHub":      {"Docker Hub cannot be renamed", map[string]string{"docker.io": "mirror.corp"}},
		"DockerHubAlias": {"nor can its aliases", map[string]string{"INDEX.docker.io:443": "mirror.corp"}},
		"Chain":          {"one step", map[string]string{"a.corp": "b.corp", "b.corp": "c.corp"}},
		"Loop":           {"one step", map[string]string{"a.corp": "b.corp", "b.corp": "a.corp"}},
		"Itself":         {"one step", map[string]string{"a.corp": "a.corp:443"}},
		"Twice":          {"two spellings of one key", map[string]string{"a.corp": "b.corp", "A.corp:443": "c.corp"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, first := imageref.NewParser(c.aliases)
			if !errors.Is(first, imageref.ErrAlias) {
				t.Fatalf("%s: want ErrAlias, got %v", c.reason, first)
			}
			if _, again := imageref.NewParser(c.aliases); again == nil || again.Error() != first.Error() {
				t.Errorf("want the same sentence each time, got %v and %v", first, again)
			}
		})
	}
}
