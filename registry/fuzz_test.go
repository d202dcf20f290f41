package registry_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/registry"
)

func FuzzNextLink(f *testing.F) {
	for _, s := range []string{`</a?n=2>; rel="next"`, `</p>; title="a, <b>; rel=next"; rel=prev, </a>; rel=next`, `<`, `<>;rel=next`, `<a>;x="\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		target := registry.NextLink(header)
		if target != "" && !strings.Contains(header, target) {
			t.Errorf("target %q is not in the header %q", target, header)
		}
		if strings.ContainsAny(target, "<>") && strings.Contains(target, ">") {
			t.Errorf("target %q goes beyond its brackets", target)
		}
	})
}

func FuzzChallenge(f *testing.F) {
	for _, s := range []string{
		`Bearer realm="https://a/t",service="s",scope="repository:a/b:pull"`, `Basic realm="x", Bearer realm="y"`, `Negotiate YII=, Basic`,
		`Bearer realm="\"`, `Bearer`, `=`, `,,,`, `a b c d`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		scheme, params, found := registry.Challenge(header)
		if found != (scheme != "") || (scheme == "bearer" && params["realm"] == "") {
			t.Errorf("header %q: scheme %q, found %t, realm %q", header, scheme, found, params["realm"])
		}
		if n := registry.ChallengeCount(header); n > len(header) {
			t.Errorf("header %q: %d challenges", header, n)
		}
		for _, scope := range registry.Scopes("acme/app", params["scope"]) {
			if strings.HasPrefix(scope, "repository:") && !strings.HasSuffix(scope, ":pull") {
				t.Errorf("header %q: scope %q is for more than pulling", header, scope)
			}
		}
	})
}

func FuzzDockerConfig(f *testing.F) {
	for _, s := range []string{
		`{"auths":{"ghcr.io":{"auth":"YTpi"}}}`, `{"ghcr.io":{"auth":"YTpi"}}`, `{"auths":{"*.example/[":{"username":"a"}},"credHelpers":{"x":"y"}}`,
		`{"auths":{"https://index.docker.io/v1/":{"identitytoken":"t"}},"credsStore":"s"}`, `{`, `null`, `[]`,
	} {
		f.Add([]byte(s), "ghcr.io/acme/app")
	}
	f.Fuzz(func(t *testing.T, data []byte, image string) {
		ref, err := imageref.Parse(image)
		if err != nil {
			return
		}
		found, err := registry.ConfigCredentials(data, ref.Repository())
		if err != nil && len(found) > 0 {
			t.Errorf("config %q: an error and credentials", data)
		}
		for _, c := range found {
			if c.IsZero() || c.Identity() == "" {
				t.Errorf("config %q: an anonymous credential", data)
			}
		}
	})
}

func FuzzLayoutIndex(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[]}`), "")
	f.Add(indexOf(imageref.DigestOf(manifestJSON("x")).String()), "v1")
	f.Add(indexOf("sha256:../../../etc/passwd"), "")
	f.Fuzz(func(t *testing.T, index []byte, name string) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
			t.Fatal(err)
		}
		manifest := manifestJSON("x")
		for file, data := range map[string][]byte{
			"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`), "index.json": index, "blobs/sha256/" + imageref.DigestOf(manifest).Hex(): manifest,
		} {
			if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		layout, err := registry.OpenLayout(dir, imageref.Repository{})
		if err != nil {
			if evidence.ProblemOf(err).Reason == evidence.Internal {
				t.Errorf("index %q: unclassified error %v", index, err)
			}
			return
		}
		defer func() { _ = layout.Close() }()
		image, err := layout.Image(t.Context(), name)
		switch {
		case err == nil && image.Digest() != imageref.DigestOf(manifest):
			t.Errorf("index %q: an image that is not in the layout: %s", index, image.Digest())
		case err != nil && evidence.ProblemOf(err).Reason == evidence.Internal:
			t.Errorf("index %q: unclassified error %v", index, err)
		}
		_, err = layout.Referrers(t.Context(), layout.Repository(), subject)
		if err != nil && evidence.ProblemOf(err).Reason == evidence.Internal {
			t.Errorf("index %q: unclassified error %v", index, err)
		}
	})
}

func indexOf(digest string) []byte {
	return []byte(`{"schemaVersion":2,"manifests":[{"mediaType":"` + imageType + `","digest":"` + digest + `","size":3,"annotations":{"` + refName + `":"v1"}}]}`)
}

// Whatever a server of the internet calls its host, the operator's names and
// loopback do not become another host's.
func FuzzRefusesName(f *testing.F) {
	for _, s := range []string{"localhost", "127.1", "ghcr.io", "[::1]", "0x7f.1", "a.svc"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		u, err := url.Parse("https://" + name + "/")
		if err != nil {
			return
		}
		plain, dotted := registry.RefusesName(u.Hostname()), registry.RefusesName(u.Hostname()+".")
		if plain && !dotted {
			t.Errorf("name %q is refused, and not with a dot at its end", u.Hostname())
		}
		if upper := registry.RefusesName(strings.ToUpper(u.Hostname())); plain && !upper {
			t.Errorf("name %q is refused, and not in capitals", u.Hostname())
		}
	})
}
