package trust_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/trust"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/registry"
)

func TestSpecificationsThatAreRefused(t *testing.T) {
	r := newRig(t)
	r.options.PlainHTTP = func(host string) bool { return host == "mirror.internal:8080" }
	r.restart()
	pinned := r.repo.pinned()
	tests := map[string]struct {
		reason string
		spec   dialect.TUFSpec
		want   bool
	}{
		"Good":             {"the usual", dialect.TUFSpec{Mirror: "https://tuf.example", Root: pinned}, true},
		"NamedPlain":       {"the operator names the host", dialect.TUFSpec{Mirror: "http://mirror.internal:8080/x", Root: pinned}, true},
		"R7Plain":          {"a policy does not weaken TLS", dialect.TUFSpec{Mirror: "http://tuf.example", Root: pinned}, false},
		"R7PlainOtherPort": {"the operator names the port too", dialect.TUFSpec{Mirror: "http://mirror.internal/x", Root: pinned}, false},
		"File":             {"no file", dialect.TUFSpec{Mirror: "file:///etc", Root: pinned}, false},
		"NoHost":           {"no host", dialect.TUFSpec{Mirror: "https:///x", Root: pinned}, false},
		"NoURL":            {"nothing", dialect.TUFSpec{Root: pinned}, false},
		"Opaque":           {"no mirror", dialect.TUFSpec{Mirror: "https:tuf.example", Root: pinned}, false},
		"R47Credentials":   {"secrets are not in policies", dialect.TUFSpec{Mirror: "https://u:secret@tuf.example", Root: pinned}, false},
		"R47Query":         {"tokens neither", dialect.TUFSpec{Mirror: "https://tuf.example/?sig=secret", Root: pinned}, false},
		"R47Garbage":       {"what does not parse is not repeated", dialect.TUFSpec{Mirror: "https://u:secret@tuf.example/\x7f", Root: pinned}, false},
		"Long":             {"bounded", dialect.TUFSpec{Mirror: "https://tuf.example/" + strings.Repeat("a", 3000), Root: pinned}, false},
		"NoRoot":           {"a first answer is not believed by itself", dialect.TUFSpec{Mirror: "https://tuf.example"}, false},
		"RootOfGarbage":    {"no metadata", dialect.TUFSpec{Mirror: "https://tuf.example", Root: []byte("{}")}, false},
		"RootNotSigned":    {"nobody signed it", dialect.TUFSpec{Mirror: "https://tuf.example", Root: r.repo.signedBy(r.repo.root)}, false},
		"RootTooLarge":     {"bounded", dialect.TUFSpec{Mirror: "https://tuf.example", Root: append(pinned, strings.Repeat(" ", 1<<18)...)}, false},
		"RootOfShortKey":   {"a key that makes a library panic", dialect.TUFSpec{Mirror: "https://tuf.example", Root: shortKey(t)}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			content, err := r.keeper.TrustedRoot(tc.spec)
			if isProblem(err) != tc.want || content != nil {
				t.Errorf("TrustedRoot() = %q, %v, want it taken: %t; %s", content, err, tc.want, tc.reason)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error holds a secret: %v", err)
			}
		})
	}
}

// shortKey is a root whose Ed25519 key has too few bytes.
func shortKey(t *testing.T) []byte {
	t.Helper()
	r := newRepository(t, "")
	for id := range r.root.Signed.Keys {
		r.root.Signed.Keys[id].Value.PublicKey = "00"
	}
	return r.signed(r.root, "root")
}

// TestR8MirrorWhereServeDoesNotGo has a mirror on loopback, through the
// transport that serve uses.
func TestR8MirrorWhereServeDoesNotGo(t *testing.T) {
	client, err := registry.New(registry.Options{Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	r.options.Transport = client.Elsewhere()
	r.restart()
	for _, mirror := range []string{"https://127.0.0.1:1/", "https://169.254.169.254/", "https://localhost:1/"} {
		spec := r.repo.spec()
		spec.Mirror = mirror
		_, _ = r.keeper.TrustedRoot(spec)
	}
	r.fetch()
	for _, s := range r.keeper.Status() {
		if s.Known || s.Err == nil || strings.Contains(s.Err.Error(), "refused") {
			t.Errorf("%s: known %t, %v, want it refused before anything is dialled", s.Name, s.Known, s.Err)
		}
	}
}

func TestWithoutANetwork(t *testing.T) {
	clock := newClock()
	r := newRepository(t, "root")
	k := trust.New(trust.Options{Now: clock.Now})
	_, _ = k.TrustedRoot(r.spec())
	_, _ = k.PublicKey(keyURI)
	k.Fetch(t.Context())
	if _, err := k.TrustedRoot(r.spec()); evidence.ProblemOf(err).Reason != evidence.TrustRootUnavailable {
		t.Errorf("TrustedRoot() = %v", err)
	}
	if _, err := k.PublicKey(keyURI); evidence.ProblemOf(err).Reason != evidence.KeyUnavailable {
		t.Errorf("PublicKey() = %v", err)
	}
}

func TestR1SourcesAreBounded(t *testing.T) {
	k := trust.New(trust.Options{Now: newClock().Now})
	var last error
	for i := range 300 {
		_, last = k.PublicKey(fmt.Sprintf("hashivault://key%d", i))
	}
	if evidence.ProblemOf(last).Reason != evidence.LimitExceeded {
		t.Errorf("PublicKey() of the 300th = %v, want LimitExceeded", last)
	}
	k.Sweep()
	k.Sweep()
	if _, err := k.PublicKey("hashivault://another"); evidence.ProblemOf(err).Reason != evidence.KeyUnavailable {
		t.Errorf("PublicKey() = %v once the others are forgotten", err)
	}
}

func TestSweepForgetsWhatNobodyAsksFor(t *testing.T) {
	r := newRig(t)
	r.known()
	r.fetch()
	r.keeper.Sweep()
	r.known()
	r.keeper.Sweep()
	if n := len(r.keeper.Status()); n != 1 {
		t.Fatalf("%d sources are left, want the one that was asked for", n)
	}
	r.keeper.Sweep()
	if n := len(r.keeper.Status()); n != 0 {
		t.Errorf("%d sources are left, want none", n)
	}
	r.network.requests()
	r.again()
	if asked := r.network.requests(); len(asked) != 0 {
		t.Errorf("a mirror that was forgotten is asked for %q", asked)
	}
}

// TestRun has the background work fetch, report and end.
func TestRun(t *testing.T) {
	r := newRig(t)
	reports := make(chan trust.Status, 10)
	r.options.Report = func(s trust.Status) { reports <- s }
	r.restart()
	r.known()
	ctx, cancel := context.WithCancel(t.Context())
	ticks, ended := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(ended)
		r.keeper.Run(ctx, ticks)
	}()
	next := func(what string) trust.Status { // ticks until something is told
		t.Helper()
		for {
			select {
			case s := <-reports:
				return s
			case ticks <- r.clock.Now():
			case <-t.Context().Done():
				t.Fatal(what)
			}
		}
	}
	if s := next("the first fetch"); !s.Known || s.Err != nil || s.Digest == "" {
		t.Errorf("the first report is %+v, want the root known", s)
	}
	r.network.down(errDown)
	r.clock.add(2 * time.Hour)
	if s := next("a failure"); !s.Known || s.Err == nil || s.Stale {
		t.Errorf("the second report is %+v, want a failure", s)
	}
	r.clock.add(8 * day)
	if s := next("staleness"); !s.Known || !s.Stale {
		t.Errorf("the third report is %+v, want a stale root", s)
	}
	r.clock.add(8 * day)
	if s := next("the end"); s.Known || s.Stale {
		t.Errorf("the fourth report is %+v, want nothing known", s)
	}
	cancel()
	<-ended
}

func TestR38CallerWhoLeavesFailsNobody(t *testing.T) {
	r := newRig(t)
	release := make(chan struct{})
	raw, _ := r.repo.file("timestamp.json")
	r.network.answerTo("timestamp.json", func() (*http.Response, error) {
		<-release
		return answer(http.StatusOK, strings.NewReader(string(raw))), nil
	})
	r.known()
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan struct{})
	go func() {
		defer close(cancelled)
		r.keeper.Fetch(ctx)
	}()
	for len(r.network.requests()) == 0 { // until the look has begun
		if t.Context().Err() != nil {
			t.Fatal("nothing was asked")
		}
	}
	cancel()
	<-cancelled // without its answer
	close(release)
	r.fetch() // waits for the look that is under way
	r.fetch()
	if s := r.status(); !s.Known || s.Err != nil {
		t.Errorf("Status() = %+v after another caller's fetch", s)
	}
}

const keyURI = "hashivault://release"

func TestPublicKey(t *testing.T) {
	first, second := publicPEM(t), publicPEM(t)
	errBoom := errors.New("boom")
	service := struct {
		mu      sync.Mutex
		content []byte
		err     error
	}{content: first}
	clock := newClock()
	k := trust.New(trust.Options{Now: clock.Now, PublicKey: func(_ context.Context, uri string) ([]byte, error) {
		service.mu.Lock()
		defer service.mu.Unlock()
		if uri != keyURI {
			t.Errorf("asked for %q", uri)
		}
		return service.content, service.err
	}})
	answers := func(content []byte, err error) {
		service.mu.Lock()
		defer service.mu.Unlock()
		service.content, service.err = content, err
	}
	known := func() string {
		t.Helper()
		content, err := k.PublicKey(keyURI)
		if err != nil && (evidence.ProblemOf(err).Reason != evidence.KeyUnavailable || content != nil) {
			t.Errorf("PublicKey() = %q, %v, want KeyUnavailable", content, err)
		}
		return string(content)
	}
	if got := known(); got != "" {
		t.Errorf("PublicKey() = %q before anybody asked", got)
	}
	revision := k.Revision()
	changed := func() bool {
		before := revision
		revision = k.Revision()
		return revision != before
	}
	k.Fetch(t.Context())
	if !changed() || known() != string(first) {
		t.Errorf("PublicKey() = %q after a fetch", known())
	}
	answers(second, nil)
	clock.add(time.Hour)
	k.Fetch(t.Context())
	if !changed() || known() != string(second) {
		t.Errorf("PublicKey() = %q after a rotation", known())
	}
	for _, garbage := range []string{"", "garbage", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", string(first) + string(second), strings.Repeat("x", 1<<20)} {
		answers([]byte(garbage), nil)
		clock.add(time.Hour)
		k.Fetch(t.Context())
		if changed() || known() != string(second) || k.Status()[0].Err == nil {
			t.Errorf("PublicKey() = %q after %.20q, want the last key", known(), garbage)
		}
	}
	answers(nil, errBoom)
	clock.add(time.Hour)
	k.Fetch(t.Context())
	if changed() || known() != string(second) || !errors.Is(k.Status()[0].Err, errBoom) {
		t.Errorf("PublicKey() = %q during an outage", known())
	}
	clock.add(trust.MaxKeyAge)
	k.Fetch(t.Context())
	if !changed() || known() != "" {
		t.Errorf("PublicKey() = %q after an outage of a day, want none", known())
	}
	if _, err := k.PublicKey(keyURI); !errors.Is(err, errBoom) {
		t.Errorf("PublicKey() = %v, want what failed last", err)
	}
}

func TestKeyURIs(t *testing.T) {
	tests := map[string]bool{
		"awskms:///arn:aws:kms:us-east-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab": true,
		"awskms://kms.internal:4566/alias/release":                                              true,
		"azurekms://acme.vault.azure.net/release":                                               true,
		"gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1":      true,
		"hashivault://release":                      true,
		"":                                          false,
		"hashivault://":                             false,
		"https://example.com/key":                   false,
		"file:///etc/passwd":                        false,
		"k8s://ns/secret":                           false,
		"pkcs11:token=x":                            false,
		"other://x":                                 false,
		"hashivault://a b":                          false,
		"hashivault://a\n":                          false,
		"azurekms://u:p@acme.example/release":       false,
		"azurekms://acme.example/a?token=x":         false,
		"gcpkms://projects/../secrets":              false,
		"azurekms://evil.example%2f.net/x":          false,
		"hashivault://" + strings.Repeat("a", 2000): false,
	}
	k := trust.New(trust.Options{Now: newClock().Now})
	for uri, want := range tests {
		if content, err := k.PublicKey(uri); isProblem(err) != want || content != nil {
			t.Errorf("PublicKey(%.60q) = %q, %v, want it taken: %t", uri, content, err, want)
		}
	}
}

// TestR6KeyThatIsRefusedIsNotAskedFor: what the check refuses is a mistake, and
// never an outage.
func TestR6KeyThatIsRefusedIsNotAskedFor(t *testing.T) {
	refused := errors.New("refused")
	asked := 0
	k := trust.New(trust.Options{
		Now:       newClock().Now,
		PublicKey: func(context.Context, string) ([]byte, error) { asked++; return nil, refused },
		CheckKey: func(uri string) error {
			if uri == keyURI {
				return nil
			}
			return refused
		},
	})
	if _, err := k.PublicKey("hashivault://other"); !errors.Is(err, refused) || isProblem(err) {
		t.Errorf("expected what the check says, and no outage, got %v", err)
	}
	k.Fetch(t.Context())
	if asked != 0 || len(k.Status()) != 0 {
		t.Errorf("expected nobody to be asked, got %d questions", asked)
	}
	if _, err := k.PublicKey(keyURI); !isProblem(err) {
		t.Errorf("expected a key that is not known yet, got %v", err)
	}
}

// TestServiceThatDoesNotAnswer is not asked again while it has yet to answer,
// and does not hold up whoever asks.
func TestServiceThatDoesNotAnswer(t *testing.T) {
	asked, release := make(chan struct{}, 10), make(chan struct{})
	content := publicPEM(t)
	clock := newClock()
	k := trust.New(trust.Options{Now: clock.Now, Timeout: 20 * time.Millisecond, PublicKey: func(context.Context, string) ([]byte, error) { // deaf to its context
		asked <- struct{}{}
		<-release
		return content, nil
	}})
	_, _ = k.PublicKey(keyURI)
	for range 3 {
		k.Fetch(t.Context()) // each gives up in its time
		clock.add(time.Hour)
	}
	if s := k.Status()[0]; s.Known || s.Err == nil {
		t.Errorf("Status() = %+v while the service does not answer", s)
	}
	if n := len(asked); n != 1 {
		t.Errorf("the service is asked %d questions at once, want 1", n)
	}
	close(release)
	for len(asked) < 2 { // the old answer is no news: it is asked again
		clock.add(time.Hour)
		k.Fetch(t.Context())
	}
	clock.add(time.Hour)
	k.Fetch(t.Context())
	if got, err := k.PublicKey(keyURI); string(got) != string(content) {
		t.Errorf("PublicKey() = %q, %v once the service answers", got, err)
	}
}

func TestR48ProviderThatPanics(t *testing.T) {
	k := trust.New(trust.Options{Now: newClock().Now, PublicKey: func(context.Context, string) ([]byte, error) { panic("boom") }})
	_, _ = k.PublicKey(keyURI)
	k.Fetch(t.Context())
	if content, err := k.PublicKey(keyURI); content != nil || evidence.ProblemOf(err).Reason != evidence.KeyUnavailable {
		t.Errorf("PublicKey() = %q, %v", content, err)
	}
}

func TestErrorsAreShort(t *testing.T) {
	k := trust.New(trust.Options{Now: newClock().Now, PublicKey: func(context.Context, string) ([]byte, error) {
		return nil, errors.New("first line\nsecond\x1b[31m\xff " + strings.Repeat("x", 5000))
	}})
	_, _ = k.PublicKey(keyURI)
	k.Fetch(t.Context())
	_, err := k.PublicKey(keyURI)
	if text := err.Error(); len(text) > 600 || strings.ContainsAny(text, "\n\x1b") {
		t.Errorf("PublicKey() = %q, want one short line", text)
	}
}

func TestPending(t *testing.T) {
	why := &evidence.Problem{Reason: evidence.TrustRootUnavailable, Path: "https://tuf.example"}
	s := trust.Pending("x", "identity somebody", why)
	if other := trust.Pending("y", "identity somebody", why); s.ID() == other.ID() || s.ID() == "x" {
		t.Errorf("ID() = %q and %q, want both of their own", s.ID(), other.ID())
	}
	if s.Need() != (evidence.Need{}) || s.StatementNeed() != (evidence.Need{}) {
		t.Errorf("it needs evidence: %+v, %+v", s.Need(), s.StatementNeed())
	}
	_, err := s.Verify(t.Context(), evidence.Image{}, evidence.Item{})
	_, stated := s.VerifyStatement(t.Context(), evidence.Image{}, evidence.Item{}, "x")
	u, is := s.(policy.Unavailable)
	if !is || u.Unavailable() != why || evidence.ProblemOf(err) != why || evidence.ProblemOf(stated) != why || !why.Undecided() {
		t.Errorf("Verify() = %v, VerifyStatement() = %v, want %v", err, stated, why)
	}
	if s.Describe() != "identity somebody" || s.PerRepository() {
		t.Errorf("Describe() = %q", s.Describe())
	}
}

func publicPEM(t *testing.T) []byte {
	t.Helper()
	public, err := newKey(t).PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
