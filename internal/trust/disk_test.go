package trust_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/trust"
)

// file is the one file of the rig's cache.
func (r *rig) file() string {
	r.t.Helper()
	all, err := os.ReadDir(r.options.Dir)
	if err != nil || len(all) != 1 {
		r.t.Fatalf("the cache holds %d files (%v), want 1", len(all), err)
	}
	return filepath.Join(r.options.Dir, all[0].Name())
}

func TestLastGoodSurvivesARestart(t *testing.T) {
	r := newRig(t)
	r.known()
	r.fetch()
	r.network.requests()
	r.restart()
	if got := r.known(); got != "root of the first day" {
		t.Fatalf("TrustedRoot() = %q (%v) from disk", got, r.status().CacheErr)
	}
	r.fetch()
	if asked := r.network.requests(); len(asked) != 0 {
		t.Errorf("a restart asked for %q, want nothing before it is due", asked)
	}
	r.network.down(errDown)
	r.again()
	if got := r.known(); got != "root of the first day" || r.status().Err == nil {
		t.Errorf("TrustedRoot() = %q, %v offline", got, r.status().Err)
	}
}

func TestCacheIsTheOwnersAlone(t *testing.T) {
	r := newRig(t)
	r.known()
	r.fetch()
	for name, want := range map[string]os.FileMode{r.options.Dir: 0o700 | os.ModeDir, r.file(): 0o600} {
		info, err := os.Stat(name)
		if err != nil || info.Mode() != want {
			t.Errorf("%s has mode %v (%v), want %v", name, info.Mode(), err, want)
		}
	}
}

// TestStaleRoot follows a root past its metadata's expiry: it stays in use, is
// called stale, and ends.
func TestStaleRoot(t *testing.T) {
	tests := map[string]struct {
		reason   string
		maxStale time.Duration
		after    time.Duration
		stale    bool
		ended    bool
	}{
		"Current":        {"the timestamp lives for a week", 0, 6 * day, false, false},
		"Stale":          {"the mirror has been down since", 0, 8 * day, true, false},
		"StaleAtLast":    {"the default is a week", 0, 14*day - time.Second, true, false},
		"R48Ended":       {"not a moment longer", 0, 14 * day, false, true},
		"R48NoStaleness": {"the operator wants none", -1, 7 * day, false, true},
		"Longer":         {"the operator wants more", 30 * day, 20 * day, true, false},
	}
	for name, tc := range tests {
		for _, restarted := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				r := newRig(t)
				r.options.MaxStale = tc.maxStale
				r.restart()
				r.known()
				r.fetch()
				r.known()
				before := r.keeper.Revision()
				r.network.down(errDown)
				r.clock.add(tc.after)
				if restarted {
					r.restart()
				} else if changed := r.keeper.Revision() != before; changed != tc.ended {
					t.Errorf("the revision changed: %t, want %t: %s", changed, tc.ended, tc.reason)
				}
				r.known() // which a restart has to be told of
				r.fetch()
				_, err := r.keeper.TrustedRoot(r.repo.spec())
				if (err != nil) != tc.ended || tc.ended && evidence.ProblemOf(err).Reason != evidence.TrustRootUnavailable {
					t.Errorf("TrustedRoot() is ended by %v, want that %t: %s", err, tc.ended, tc.reason)
				}
				if s := r.status(); s.Stale != tc.stale || s.Known == tc.ended || s.Checked.IsZero() || s.Err == nil {
					t.Errorf("Status() = %+v, want stale: %t", s, tc.stale)
				}
				r.network.down(nil)
				r.repo.stamp.Signed.Expires = r.clock.Now().Add(7 * day)
				r.repo.snap.Signed.Expires, r.repo.list.Signed.Expires = r.repo.stamp.Signed.Expires, r.repo.stamp.Signed.Expires
				r.repo.update("back again")
				r.again()
				if got := r.known(); got != "back again" || r.status().Stale {
					t.Errorf("TrustedRoot() = %q, %v once the mirror is back", got, r.status().Err)
				}
			})
		}
	}
}

// TestR48CorruptCacheIsNotUsed has whatever a disk, or somebody who writes to
// it, makes of the file. A mirror that answers then puts it right.
func TestR48CorruptCacheIsNotUsed(t *testing.T) {
	change := func(edit func(map[string]any)) func(*testing.T, []byte) []byte {
		return func(t *testing.T, raw []byte) []byte {
			var all map[string]any
			if err := json.Unmarshal(raw, &all); err != nil {
				t.Fatal(err)
			}
			edit(all)
			raw, err := json.Marshal(all)
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}
	}
	other := newRepository(t, "another repository's")
	stamp, _ := other.file("timestamp.json")
	tests := map[string]struct {
		reason string
		edit   func(*testing.T, []byte) []byte
	}{
		"Empty":            {"a disk that was full", func(*testing.T, []byte) []byte { return nil }},
		"Cut":              {"a write that ended early", func(_ *testing.T, b []byte) []byte { return b[:len(b)/2] }},
		"Zeros":            {"a crash", func(_ *testing.T, b []byte) []byte { return make([]byte, len(b)) }},
		"TooLarge":         {"it is not read", func(_ *testing.T, b []byte) []byte { return append(b, bytes.Repeat([]byte(" "), 16<<20)...) }},
		"AnotherContent":   {"the target's hash is signed", change(func(m map[string]any) { m["content"] = []byte("other") })},
		"NoContent":        {"nothing is no root", change(func(m map[string]any) { delete(m, "content") })},
		"AnothersSigned":   {"by another's keys", change(func(m map[string]any) { m["timestamp"] = stamp })},
		"NoSnapshot":       {"a link is missing", change(func(m map[string]any) { delete(m, "snapshot") })},
		"AnotherFormat":    {"of another version", change(func(m map[string]any) { m["format"] = 2 })},
		"RootsOfGarbage":   {"a rotation that is none", change(func(m map[string]any) { m["roots"] = [][]byte{[]byte("{}")} })},
		"TooManyRoots":     {"more than anybody has", change(func(m map[string]any) { m["roots"] = make([][]byte, 1000) })},
		"AnotherValue":     {"a list", func(*testing.T, []byte) []byte { return []byte("[]") }},
		"TargetsOfGarbage": {"no metadata", change(func(m map[string]any) { m["targets"] = []byte(`{"signed":{"_type":"targets","targets":{"x":null}}}`) })},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.known()
			r.fetch()
			raw, err := os.ReadFile(r.file())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(r.file(), tc.edit(t, raw), 0o600); err != nil {
				t.Fatal(err)
			}
			r.restart()
			if got := r.known(); got != "" || r.status().CacheErr == nil {
				t.Errorf("TrustedRoot() = %q, %v from disk, want nothing: %s", got, r.status().CacheErr, tc.reason)
			}
			r.fetch()
			if got := r.known(); got != "root of the first day" || r.status().CacheErr != nil {
				t.Errorf("TrustedRoot() = %q, %v after a fetch", got, r.status().CacheErr)
			}
			r.restart()
			if got := r.known(); got != "root of the first day" {
				t.Errorf("TrustedRoot() = %q: the file was not put right", got)
			}
		})
	}
}

func TestCacheOfTheFutureIsLookedAtAgain(t *testing.T) {
	r := newRig(t)
	r.clock.add(5 * day)
	r.known()
	r.fetch()
	r.clock.add(-5 * day)
	r.restart()
	r.network.requests()
	r.known()
	r.fetch()
	if asked := r.network.requests(); len(asked) == 0 {
		t.Error("a cache that was confirmed in the future is not looked at again")
	}
}

func TestCacheIsCheckedLikeAFetch(t *testing.T) {
	r := newRig(t)
	r.known()
	r.fetch()
	r.options.CheckTrustedRoot = func([]byte) error { return errors.New("boom") }
	r.restart()
	if got := r.known(); got != "" {
		t.Errorf("TrustedRoot() = %q, want a cached target refused as a fetched one", got)
	}
}

func TestR37CacheErrorDecidesNothing(t *testing.T) {
	r := newRig(t)
	if err := os.WriteFile(r.options.Dir, nil, 0o600); err != nil { // where the folder would be
		t.Fatal(err)
	}
	r.known()
	r.fetch()
	if got := r.known(); got != "root of the first day" || r.status().CacheErr == nil {
		t.Errorf("TrustedRoot() = %q, %v, want the root, and the disk's error told", got, r.status().CacheErr)
	}
}

// TestCVE202624686NamesAreNoPaths has a mirror, a root and a target whose names
// would lead out of the cache as parts of a path. go-tuf before 2.4.1 made paths
// of repositories' names.
func TestCVE202624686NamesAreNoPaths(t *testing.T) {
	r := newRig(t)
	r.options.Dir = filepath.Join(t.TempDir(), "a", "b", "cache")
	r.restart()
	spec := r.repo.spec()
	spec.Mirror = "https://" + mirrorHost + "/repository/../../../../escaped/..%2f..%2fescaped"
	_, _ = r.keeper.TrustedRoot(spec)
	r.known()
	r.fetch()
	if name := filepath.Base(r.file()); len(name) != 64+len(".json") || strings.Trim(name, "0123456789abcdef.json") != "" {
		t.Errorf("the cache's file is %q, want a hash", name)
	}
	for _, dir := range []string{filepath.Dir(r.options.Dir), filepath.Dir(filepath.Dir(r.options.Dir))} {
		if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
			t.Errorf("%s holds %d entries (%v), want the cache alone", dir, len(all), err)
		}
	}
}

// TestCVE202624137TargetNamesAreNoPaths refuses targets that a client which
// stores them by name would write elsewhere, as sigstore's before 1.10.4 did.
func TestCVE202624137TargetNamesAreNoPaths(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{"../escaped", "/etc/passwd", "a/../../b", "a//b", ".", "a/.", `a\b`, "a%2f..", "a b", "a\x00b", "ä", strings.Repeat("a", 257)} {
		spec := r.repo.spec()
		spec.Target = name
		if got, err := r.keeper.TrustedRoot(spec); err == nil || isProblem(err) || got != nil {
			t.Errorf("TrustedRoot(target %q) = %q, %v, want the specification refused", name, got, err)
		}
	}
}

func isProblem(err error) bool {
	var p *evidence.Problem
	return errors.As(err, &p)
}

func TestCacheDir(t *testing.T) {
	unknown := func() (string, error) { return "", errors.New("boom") }
	user := func() (string, error) { return "/cache", nil }
	tests := map[string]struct {
		env  string
		user func() (string, error)
		want string
	}{
		"Named":   {"/var/cache/bonafide", user, "/var/cache/bonafide/tuf"},
		"Default": {"", user, "/cache/bonafide/tuf"},
		"Unknown": {"", unknown, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			getenv := func(name string) string { return map[string]string{"BONAFIDE_CACHE_DIR": tc.env}[name] }
			if got := trust.CacheDir(getenv, tc.user); got != tc.want {
				t.Errorf("CacheDir() = %q, want %q", got, tc.want)
			}
		})
	}
}
