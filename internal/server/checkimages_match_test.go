package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/server"
)

// mirrored settings have an operator's alias of Docker Hub.
func mirrored(t testing.TB) func(*server.Options) {
	parser := must[imageref.Parser](t)(imageref.NewParser(map[string]string{"mirror.corp": "docker.io", "old.corp:5000": "new.corp"}))
	return func(o *server.Options) { o.Parser = parser }
}

// TestCheckImagesKnowsAliases: a pattern includes an image whatever spelling of
// the registry either is written in; else whoever writes a Pod chooses one that
// is not verified.
func TestCheckImagesKnowsAliases(t *testing.T) {
	cases := map[string]struct {
		pattern, registry, path string
		want                    bool
	}{
		"R11OperatorAlias":         {"docker.io/acme/*", "mirror.corp", "acme/x", true},
		"R11OtherCase":             {"docker.io/acme/*", "Mirror.Corp", "acme/x", true},
		"R11Port443":               {"docker.io/acme/*", "mirror.corp:443", "acme/x", true},
		"R11AliasWithPort":         {"new.corp/acme/x:1", "old.corp:5000", "acme/x", true},
		"R11PatternOfAlias":        {"mirror.corp/acme/*", "docker.io", "acme/x", true},
		"R11PatternTagged":         {"mirror.corp/acme/x:1", "docker.io", "acme/x", true},
		"R11PatternOfStar":         {"*.corp/acme/*", "docker.io", "acme/x", true},
		"R11PatternOtherCase":      {"MIRROR.corp/acme/*", "docker.io", "acme/x", true},
		"R11PatternPort443":        {"ghcr.io:443/acme/*", "ghcr.io", "acme/x", true},
		"R11BothAliases":           {"index.docker.io/acme/*", "mirror.corp", "acme/x", true},
		"R11HubPattern":            {"index.docker.io/library/nginx:*", "docker.io", "nginx", true},
		"R11HubShort":              {"docker.io/nginx:*", "docker.io", "library/nginx", true},
		"R11HubShortWithoutHost":   {"nginx:*", "registry-1.docker.io", "library/nginx", true},
		"R11HubShortPatternAlias":  {"index.docker.io/nginx", "", "library/nginx", true},
		"R11HubPathWithoutHost":    {"acme/x:1", "mirror.corp", "acme/x", true},
		"OtherPath":                {"mirror.corp/other/*", "docker.io", "acme/x", false},
		"OtherTag":                 {"mirror.corp/acme/x:2", "docker.io", "acme/x", false},
		"OtherHost":                {"mirror.corp/acme/*", "ghcr.io", "acme/x", false},
		"HostIsNoPath":             {"acme/x", "ghcr.io", "acme/x", false},
		"LibraryElsewhere":         {"ghcr.io/nginx", "ghcr.io", "library/nginx", false},
		"AliasedHostOfAnotherPort": {"docker.io/acme/*", "mirror.corp:8443", "acme/x", false},
		"Malformed":                {"mirror.corp/*", "docker.io", "Not/An/Image", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var asked engine.Request
			s := newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
				asked = r
				return each(prove)(ctx, r)
			}), checked, mirrored(t))
			entry := `{"registry":"` + tc.registry + `","name":"x","path":"` + tc.path + `","tag":"1","jsonPointer":"/spec/containers/0/image"}`
			ask := func(more string) {
				t.Helper()
				if w := postCheck(s.Doors(), `{"trustPolicy":"tp","images":{"containers":{"c":`+entry+`}}`+more+`}`); w.Code != http.StatusOK {
					t.Fatalf("want 200, got %d %s", w.Code, w.Body)
				}
			}
			ask(`,"imageReferences":["` + tc.pattern + `"]`)
			if got := len(asked.Images) == 1; got != tc.want {
				t.Errorf("imageReferences: want included %t, got %t", tc.want, got)
			}
			ask(`,"attestations":[{"imageReference":"` + tc.pattern + `","type":[{"name":"sbom"}]}]`)
			ref, _ := (imageref.Parser{}).Parse(asked.Images[0].Ref)
			if ref.IsZero() {
				return // no pattern is asked about it
			}
			if got := asked.Extra[0].Images.Includes(ref); got != tc.want {
				t.Errorf("attestations: want included %t, got %t", tc.want, got)
			}
		})
	}
}

// TestR11AliasesRenameNothing: what runs is pulled from where its author says,
// even if that host counts as another.
func TestR11AliasesRenameNothing(t *testing.T) {
	s := newServer(t, each(byTag), mirrored(t))
	const key = "mirror.corp/acme/x:allowed"
	for path, want := range map[string]string{
		"/gatekeeper/mutate":           key + "@" + digest,
		"/ratify/gatekeeper/v1/mutate": "mirror.corp/acme/x@" + digest,
	} {
		w := post(s.Doors(), path, []byte(`{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["`+key+`"]}}`))
		if !strings.Contains(w.Body.String(), `"value":"`+want+`"`) {
			t.Errorf("%s: want %s, got %s", path, want, w.Body)
		}
	}
}
