package rego_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/server"
)

var errNotReady = errors.New("no policies are loaded yet")

// A template is what decides in Gatekeeper, and the door that it asks.
type template struct {
	provider, path string
	content        func(*testing.T) []byte
	notationOnly   bool // it asks for a Notation signature whatever the policy says
	blindToErrors  bool // it looks at no error of a key
	namespaced     bool // its keys name the namespace
}

func templates() map[string]template {
	ratify := func(name string) func(*testing.T) []byte {
		return func(t *testing.T) []byte { return ratifyTemplate(t, name) }
	}
	own := func(name string) func(*testing.T) []byte {
		return func(t *testing.T) []byte { return read(t, "testdata/"+name) }
	}
	return map[string]template{
		"RatifyDefault":            {provider: "ratify-provider", path: "/ratify/gatekeeper/v1/verify", content: ratify("default")},
		"RatifyDefaultAtOwnPath":   {provider: "ratify-provider", path: "/gatekeeper/validate", content: ratify("default")},
		"RatifyDefaultAtV2Path":    {provider: "ratify-provider", path: "/ratify/gatekeeper/v2/verify", content: ratify("default")},
		"RatifyMultiTenancy":       {provider: "ratify-provider", path: "/ratify/gatekeeper/v1/verify", content: ratify("multi-tenancy-validation"), namespaced: true},
		"RatifyNotation":           {provider: "ratify-provider", path: "/ratify/gatekeeper/v1/verify", content: ratify("notation-validation"), notationOnly: true, blindToErrors: true},
		"RatifyNotationNested":     {provider: "ratify-provider", path: "/ratify/gatekeeper/v1/verify", content: ratify("notation-nested-validation"), notationOnly: true},
		"RatifyV2":                 {provider: "ratify-gatekeeper-provider", path: "/ratify/gatekeeper/v2/verify", content: own("ratify-v2.yaml")},
		"RatifyV2AtOwnPath":        {provider: "ratify-gatekeeper-provider", path: "/gatekeeper/validate", content: own("ratify-v2.yaml")},
		"CosignGatekeeperProvider": {provider: "cosign-gatekeeper-provider", path: "/validate", content: own("cosign-provider.yaml")},
	}
}

// TestR45NoAnswerIsAdmittedThroughAnUndefinedField has Gatekeeper's driver
// decide with the templates that are in use, over answers of the real doors.
func TestR45NoAnswerIsAdmittedThroughAnUndefinedField(t *testing.T) {
	w := newWorld(t)
	unknown := w.registry.Host() + "/acme/nowhere:v1"
	unreadable := "not an image\n"
	for name, tmpl := range templates() {
		t.Run(name, func(t *testing.T) {
			d := open(t, w.engine)
			g := newGatekeeper(t, tmpl.content(t), d.provider(tmpl.provider, tmpl.path), d.clients.client(t), nil)
			admitted := map[string][]string{"Notation": {w.notation}}
			refused := map[string][]string{
				"Unsigned": {w.unsigned}, "WrongSigner": {w.stranger}, "R21CopiedSignature": {w.copied}, "NoPolicy": {w.uncovered},
				"UnknownImage": {unknown}, "OneOfTwo": {w.notation, w.unsigned}, "OneUndecided": {w.notation, unknown}, "OneUnknownTwice": {unknown, unknown},
			}
			if tmpl.notationOnly {
				refused["Cosign"] = []string{w.signed}
			} else {
				admitted["Cosign"], admitted["Both"], admitted["Twice"] = []string{w.signed}, []string{w.signed, w.notation}, []string{w.signed, w.signed}
			}
			// Names that we refuse and that a container runtime reads.
			refused["ImageID"], refused["BareImageID"] = []string{"sha256:" + strings.Repeat("a", 64)}, []string{strings.Repeat("a", 64)}
			refused["UnderscoreHost"], refused["OneImageID"] = []string{"my_registry.example/app:v1"}, []string{w.notation, "sha256:" + strings.Repeat("a", 64)}
			if !tmpl.blindToErrors { // and what none reads
				refused["Malformed"], refused["Empty"], refused["OneMalformed"] = []string{unreadable}, []string{""}, []string{w.notation, unreadable}
			}
			if !tmpl.namespaced { // the brackets would be the image's own
				admitted["Namespaced"] = []string{"[shop]" + w.notation}
				refused["NamespacedUnsigned"] = []string{"[shop]" + w.unsigned}
			}
			for range 2 { // the second round over what Gatekeeper remembers
				for what, images := range refused {
					if len(g.violations(t, images...)) == 0 {
						t.Errorf("%s: %q is admitted", what, images)
					}
				}
				for what, images := range admitted {
					if v := g.violations(t, images...); len(v) > 0 {
						t.Errorf("%s: %q is refused: %s", what, images, v)
					}
				}
			}
		})
	}
}

// TestR45FaultsAreViolations has everything fail that can, for an image that is
// signed.
func TestR45FaultsAreViolations(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	defer close(release)
	cases := map[string]struct {
		reason string
		decide server.DeciderFunc // nil: the engine
		change func(*server.Options)
		client func(*testing.T, doors) issuer // nil: a good one
	}{
		"Timeout":    {reason: "nothing is decided in time", decide: hang(release), change: func(o *server.Options) { o.GatekeeperTimeout = 200 * time.Millisecond }},
		"Panic":      {reason: "the decider panics", decide: func(context.Context, engine.Request) engine.Decision { panic("boom") }},
		"Nothing":    {reason: "a decision about nothing", decide: func(context.Context, engine.Request) engine.Decision { return engine.Decision{} }},
		"NoSnapshot": {reason: "no policies", decide: unloaded(t).Decide},
		"NotReady":   {reason: "policies are not loaded", change: func(o *server.Options) { o.Ready = func() error { return errNotReady } }},
		"WrongClientCertificate": {reason: "somebody else's certificate", client: func(t *testing.T, _ doors) issuer {
			return newIssuer(t)
		}},
		"NoAuthorities": {reason: "nobody may ask", change: func(o *server.Options) { o.GatekeeperClients = nilPool }},
	}
	for name, tmpl := range templates() {
		content := tmpl.content(t)
		for fault, tc := range cases {
			t.Run(name+"/"+fault, func(t *testing.T) {
				var decider server.Decider = w.engine
				if tc.decide != nil {
					decider = tc.decide
				}
				change := tc.change
				if change == nil {
					change = func(*server.Options) {}
				}
				d := open(t, decider, change)
				clients := d.clients
				if tc.client != nil {
					clients = tc.client(t, d)
				}
				g := newGatekeeper(t, content, d.provider(tmpl.provider, tmpl.path), clients.client(t), nil)
				if len(g.violations(t, w.notation)) == 0 {
					t.Errorf("%s: the image is admitted", tc.reason)
				}
			})
		}
	}
}

// TestR45OutageIsNotRemembered refuses while the registry is down and admits as
// soon as it is up, although Gatekeeper remembers answers for three minutes.
func TestR45OutageIsNotRemembered(t *testing.T) {
	w := newWorld(t)
	for name, tmpl := range templates() {
		t.Run(name, func(t *testing.T) {
			d := open(t, w.engine)
			g := newGatekeeper(t, tmpl.content(t), d.provider(tmpl.provider, tmpl.path), d.clients.client(t), nil)
			w.registry.Intercept(func(rw http.ResponseWriter, _ *http.Request) bool {
				rw.WriteHeader(http.StatusServiceUnavailable)
				return true
			})
			if len(g.violations(t, w.notation)) == 0 {
				t.Error("admitted while the registry is down")
			}
			w.registry.Intercept(nil)
			if v := g.violations(t, w.notation); len(v) > 0 {
				t.Errorf("refused although the registry is up: %s", v)
			}
		})
	}
}
