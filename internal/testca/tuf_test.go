package testca_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/bonafide-dev/bonafide/internal/testca"
)

// tufClient is go-tuf's with a cache that lasts.
type tufClient struct {
	repository *testca.TUF
	dir        string
	patience   time.Duration // with one answer
}

// target fetches the trusted root at a time, zero for now.
func (c tufClient) target(t *testing.T, at time.Time) (string, error) {
	t.Helper()
	cfg, err := config.New(c.repository.URL(), c.repository.Root())
	if err != nil {
		t.Fatal(err)
	}
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = c.dir, c.dir
	client := &http.Client{Timeout: c.patience}
	if err := cfg.SetDefaultFetcherHTTPClient(client); err != nil {
		t.Fatal(err)
	}
	u, err := updater.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !at.IsZero() {
		u.UnsafeSetRefTime(at)
	}
	info, err := u.GetTargetInfo(testca.TrustedRootTarget)
	if err != nil {
		t.Logf("go-tuf: %v", err)
		return "", errRefused
	}
	_, content, err := u.DownloadTarget(info, "", "")
	if err != nil {
		t.Logf("go-tuf: %v", err)
		return "", errRefused
	}
	return string(content), nil
}

func TestTUF(t *testing.T) {
	now := time.Now()
	cases := map[string]struct {
		reason  string
		options testca.TUFOptions
		change  func(*testca.TUF) // after a first update
		at      time.Time         // of the second update
		want    string
		err     error
		// patience is short for an answer that never comes.
		patience time.Duration
	}{
		"Unchanged":    {reason: "the same again", want: "first"},
		"Inconsistent": {reason: "paths without versions", options: testca.TUFOptions{Inconsistent: true}, want: "first"},
		"Published":    {reason: "a new target", change: func(r *testca.TUF) { r.Publish(testca.TrustedRootTarget, []byte("second")) }, want: "second"},
		"OtherTarget":  {reason: "another target beside", change: func(r *testca.TUF) { r.Publish("other.json", []byte("x")) }, want: "first"},
		"Removed":      {reason: "the target is gone", change: func(r *testca.TUF) { r.Remove(testca.TrustedRootTarget) }, err: errRefused},
		"Rotated": {reason: "each rotation is signed by its predecessor", change: func(r *testca.TUF) {
			r.RotateRoot()
			r.RotateRoot()
			r.Publish(testca.TrustedRootTarget, []byte("second"))
		}, want: "second"},
		"Usurped": {reason: "the predecessor did not sign", change: (*testca.TUF).UsurpRoot, err: errRefused},
		"Frozen":  {reason: "nothing new until it expires", at: now.AddDate(1, 0, 1), err: errRefused},
		"Renewed": {reason: "a new expiry", change: func(r *testca.TUF) { r.Renew(now.AddDate(2, 0, 0)) }, at: now.AddDate(1, 0, 1), want: "first"},
		"RolledBack": {reason: "older metadata than was seen", options: testca.TUFOptions{}, change: func(r *testca.TUF) {
			r.RollBack() // to before the publication that each case begins with
		}, err: errRefused},
		"SnapshotVersion": {reason: "a snapshot older than was seen", change: func(r *testca.TUF) {
			r.Edit(testca.RoleTimestamp, func(signed map[string]any) {
				signed["meta"] = map[string]any{"snapshot.json": map[string]any{"version": 1}}
			})
		}, err: errRefused},
		"TargetsVersion": {reason: "targets older than were seen", change: func(r *testca.TUF) {
			r.Edit(testca.RoleSnapshot, func(signed map[string]any) {
				signed["meta"] = map[string]any{"targets.json": map[string]any{"version": 1}}
			})
		}, err: errRefused},
		"EditEnded": {reason: "proper again", change: func(r *testca.TUF) {
			r.Edit(testca.RoleTargets, func(signed map[string]any) { signed["version"] = 1 })
			r.Edit(testca.RoleTargets, nil)
		}, want: "first"},
		"WrongThenRight": {reason: "proper again", change: func(r *testca.TUF) {
			r.SignWrongly(testca.RoleTargets, true)
			r.SignWrongly(testca.RoleTargets, false)
		}, want: "first"},
		"Healed": {reason: "a fault ends", change: func(r *testca.TUF) {
			r.FailAll(testca.Broken)
			r.FailAll(testca.Healthy)
		}, want: "first"},
		"Changed": {reason: "a target with a bit changed", change: func(r *testca.TUF) {
			r.Publish(testca.TrustedRootTarget, []byte("second"))
			r.Fail(testca.TrustedRootTarget, testca.Changed)
		}, err: errRefused},
		"EndlessTarget": {reason: "a target without an end", change: func(r *testca.TUF) {
			r.Publish(testca.TrustedRootTarget, []byte("second"))
			r.Fail(testca.TrustedRootTarget, testca.Endless)
		}, err: errRefused},
	}
	for _, role := range []testca.Role{testca.RoleRoot, testca.RoleTimestamp, testca.RoleSnapshot, testca.RoleTargets} {
		name := string(role)
		c := cases["Unchanged"]
		c.want, c.err = "", errRefused
		c.reason, c.change = "expired alone", func(r *testca.TUF) { r.Expire(role, now.Add(-time.Hour)) }
		cases["Expired/"+name] = c
		c.reason, c.change = "none of the role's keys", func(r *testca.TUF) { r.SignWrongly(role, true) }
		cases["SignedWrongly/"+name] = c
		for fault, reason := range map[testca.Fault]string{testca.Endless: "Endless", testca.Hanging: "Hanging", testca.Broken: "Broken", testca.Missing: "Missing", testca.Cut: "Cut", testca.Changed: "Changed"} {
			if fault == testca.Missing && role == testca.RoleRoot {
				continue // which is how a chain of roots ends
			}
			if c.patience = 0; fault == testca.Hanging {
				c.patience = 100 * time.Millisecond
			}
			c.reason, c.change = reason, func(r *testca.TUF) {
				r.RotateRoot()
				r.Fail(name+".json", fault)
			}
			cases[reason+"/"+name] = c
		}
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.options.TrustedRoot = []byte("zeroth")
			r := testca.NewTUF(t, tc.options)
			r.Publish(testca.TrustedRootTarget, []byte("first"))
			client := tufClient{r, t.TempDir(), time.Minute}
			if got, err := client.target(t, time.Time{}); err != nil || got != "first" {
				t.Fatalf("the first update: want %q, got %q, %v", "first", got, err)
			}
			if tc.change != nil {
				tc.change(r)
			}
			if tc.patience != 0 {
				client.patience = tc.patience
			}
			got, err := client.target(t, tc.at)
			if got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("%s\nwant %q, %v, got %q, %v", tc.reason, tc.want, tc.err, got, err)
			}
			if !slices.Contains(r.Requests(), "timestamp.json") {
				t.Errorf("want a request for timestamp.json, got %q", r.Requests())
			}
		})
	}
}
