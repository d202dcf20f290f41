package server_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/registry"
)

// TestR36CheckImagesRepeatsNoPrivateText: callers learn whether their conditions
// hold of what the operator's credentials read, and no word of it.
func TestR36CheckImagesRepeatsNoPrivateText(t *testing.T) {
	const user, password, kind, text = "robot", "s3cret-password", "sbom/cyclone-dx", "internal-codename"
	for name, private := range map[string]bool{"Public": false, "Private": true} {
		t.Run(name, func(t *testing.T) {
			o := registry.Options{Clock: time.Now}
			auth := fixture.Auth{}
			if private {
				auth = fixture.Auth{Scheme: fixture.Basic, Username: user, Password: password}
				o.Keychain = registry.KeychainFunc(func(context.Context, evidence.Puller, imageref.Repository) ([]registry.Credential, error) {
					return []registry.Credential{{Username: user, Password: password, Operator: true}}, nil
				})
			}
			w, acme := newWorldOf(t, fixture.Options{Referrers: true, Auth: auth}, o), newParty(t, "Acme")
			w.adopt(map[string]string{"store": acme.store("acme"), "tp": trustPolicy("tp", "strict", "acme")})
			w.image("acme/app:v1", w.signed(acme.leaf), w.attached(kind, `{"name":"`+text+`","n":5}`, acme.leaf))
			// The ordinary setup is answered.
			w.want("tp", "acme/app:v1", attestations("*", kind, `{"all":[{"key":"\\{{ name }}","operator":"Equals","value":"`+text+`"}]}`))
			shown := false
			for _, condition := range []string{
				`{"key":"\\{{ name }}","operator":"Equals","value":"x"}`,
				`{"key":"\\{{ @ }}","operator":"Equals","value":"x"}`,
				`{"key":"\\{{ to_number(name) }}","operator":"Equals","value":1}`,
				`{"key":"\\{{ semver_compare(name,'1') }}","operator":"Equals","value":true}`,
				`{"key":"\\{{ n }}","operator":"Equals","value":"\\{{ name }}"}`,
				`{"key":"\\{{ name }}","operator":"GreaterThan","value":1}`,
				`{"key":"\\{{ \\{{ name }} }}","operator":"Equals","value":1}`,
			} {
				for _, list := range []string{"all", "any"} {
					_, refusal := w.check("tp", "acme/app:v1", attestations("*", kind, `{"`+list+`":[`+condition+`]}`))
					if refusal == "" {
						t.Errorf("%s: want refused", condition)
					}
					shown = shown || strings.Contains(refusal, text)
				}
			}
			if shown == private {
				t.Errorf("want the text shown %t, got %t", !private, shown)
			}
		})
	}
}

// TestR36ServeWarnsOfCallersConditions: what callers can find out is said at the
// start if there is nobody to vouch for them.
func TestR36ServeWarnsOfCallersConditions(t *testing.T) {
	reviewer := server.TokenReviewerFunc(func(context.Context, string) (string, bool, error) { return "", false, nil })
	cases := map[string]struct {
		change func(*server.Options)
		want   bool
	}{
		"NobodyVouches": {checked, true},
		"Reviewer":      {func(o *server.Options) { checked(o); o.CheckImages.TokenReviewer = reviewer }, false},
		"NoDoor":        {func(*server.Options) {}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var log lockedBuffer
			r := start(t, each(deny), tc.change, func(o *server.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			r.stop()
			for range r.done { // closed once Serve has returned
			}
			if got := strings.Contains(log.String(), "level=WARN") && strings.Contains(log.String(), "find out by their conditions"); got != tc.want {
				t.Errorf("want a warning %t, got %s", tc.want, log.String())
			}
		})
	}
}

// lockedBuffer is a log that is written to from everywhere.
type lockedBuffer struct {
	mu  sync.Mutex
	log bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}
