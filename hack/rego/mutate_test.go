package rego_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/frameworks/constraint/pkg/externaldata"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/server"
)

// mutators are the doors that answer mutators, and whether they keep the tag.
func mutators() map[string]bool {
	return map[string]bool{"/gatekeeper/mutate": true, "/ratify/gatekeeper/v1/mutate": false, "/ratify/gatekeeper/v2/mutate": false}
}

// mutate asks as Gatekeeper's mutators do, and holds the answer to what they
// ask of one: idempotent, no system error, an item for each key, and in it
// either an error or text.
func mutate(t *testing.T, d doors, path string, images ...string) map[string]externaldata.Item {
	t.Helper()
	client, err := d.clients.client(t).GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, _, err := externaldata.DefaultSendRequestToProvider(t.Context(), d.provider("mutator"+strings.ReplaceAll(path, "/", "-"), path), images, client)
	if err != nil {
		t.Fatal(err)
	}
	if !answer.Response.Idempotent || strings.TrimSpace(answer.Response.SystemError) != "" {
		t.Fatalf("want an idempotent answer without system error, got %+v", answer.Response)
	}
	items := map[string]externaldata.Item{}
	for _, i := range answer.Response.Items {
		items[i.Key] = i
		if _, text := i.Value.(string); text == (i.Error != "") {
			t.Errorf("want text or an error for %q, got %+v", i.Key, i)
		}
	}
	for _, image := range images {
		if _, found := items[image]; !found {
			t.Errorf("want an item for %q, got %v", image, items)
		}
	}
	return items
}

func TestR45MutatorsPinWhatIsVerified(t *testing.T) {
	w := newWorld(t)
	d := open(t, w.engine)
	unknown := w.registry.Host() + "/acme/nowhere:v1"
	for path, keepsTag := range mutators() {
		items := mutate(t, d, path, w.signed, w.notation, w.unsigned, w.stranger, w.copied, w.uncovered, unknown, "no image\n")
		for _, image := range []string{w.signed, w.notation} {
			pinned, _ := items[image].Value.(string)
			ref, err := imageref.Parse(pinned)
			if err != nil || ref.Digest().IsZero() || (ref.Tag() == "v1") != keepsTag || !strings.HasPrefix(pinned, strings.TrimSuffix(image, ":v1")) {
				t.Errorf("%s: want %s pinned, got %+v", path, image, items[image])
			}
			again := mutate(t, d, path, pinned)
			if again[pinned].Value != pinned {
				t.Errorf("%s: want %s unchanged, got %+v", path, pinned, again)
			}
		}
		for _, image := range []string{w.unsigned, w.stranger, w.copied, w.uncovered} {
			if items[image].Value != image {
				t.Errorf("%s: want %s unchanged, got %+v", path, image, items[image])
			}
		}
		for _, image := range []string{unknown, "no image\n"} {
			if items[image].Error == "" {
				t.Errorf("%s: want an error for %q, got %+v", path, image, items[image])
			}
		}
	}
}

// TestR45MutatorsRefuseFaults has the door fail: what Gatekeeper sees is an
// error, which its failurePolicy decides on.
func TestR45MutatorsRefuseFaults(t *testing.T) {
	w := newWorld(t)
	cases := map[string]struct {
		decide server.DeciderFunc
		change func(*server.Options)
		wrong  bool // client certificate
	}{
		"Panic":            {decide: func(context.Context, engine.Request) engine.Decision { panic("boom") }},
		"Nothing":          {decide: func(context.Context, engine.Request) engine.Decision { return engine.Decision{} }},
		"NotReady":         {change: func(o *server.Options) { o.Ready = func() error { return errNotReady } }},
		"WrongCertificate": {wrong: true},
	}
	for path := range mutators() {
		for name, tc := range cases {
			t.Run(name+path, func(t *testing.T) {
				var decider server.Decider = w.engine
				if tc.decide != nil {
					decider = tc.decide
				}
				d := open(t, decider, func(o *server.Options) {
					o.GatekeeperTimeout = time.Second
					if tc.change != nil {
						tc.change(o)
					}
				})
				clients := d.clients
				if tc.wrong {
					clients = newIssuer(t)
				}
				client, err := clients.client(t).GetCertificate(nil)
				if err != nil {
					t.Fatal(err)
				}
				answer, status, err := externaldata.DefaultSendRequestToProvider(t.Context(), d.provider("faulty", path), []string{w.signed}, client)
				if err != nil || answer.Response.SystemError == "" || len(answer.Response.Items) > 0 || status == http.StatusOK {
					t.Errorf("want a system error alone, got %d %+v, %v", status, answer, err)
				}
			})
		}
	}
}
