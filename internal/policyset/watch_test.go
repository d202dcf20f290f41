package policyset_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/policy"
)

// change is a call of a Watcher.
type change struct {
	set policyset.Set
	err error
}

// watched is a Watcher that runs on a test's ticks.
type watched struct {
	ticks   chan time.Time
	changes chan change
	first   policyset.Set
}

func watch(t *testing.T, paths ...string) *watched {
	t.Helper()
	return watchWith(t, options(), paths...)
}

func watchWith(t *testing.T, o policyset.Options, paths ...string) *watched {
	t.Helper()
	watcher, first, err := policyset.NewWatcher(paths, o)
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{ticks: make(chan time.Time), changes: make(chan change), first: first}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		watcher.Run(ctx, w.ticks, func(s policyset.Set, err error) {
			select {
			case w.changes <- change{s, err}:
			case <-ctx.Done():
			}
		})
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return w
}

// twoSeconds is how many ticks a change may take.
const twoSeconds = int(2 * time.Second / policyset.Interval)

// next ticks until something changes, and fails after two seconds' worth of
// ticks.
func (w *watched) next(t *testing.T) change {
	t.Helper()
	for range twoSeconds + 1 {
		select {
		case c := <-w.changes:
			return c
		case w.ticks <- time.Time{}:
		}
	}
	t.Fatalf("expected a change within %d ticks, got none", twoSeconds)
	return change{}
}

// quiet ticks for two seconds and expects no change.
func (w *watched) quiet(t *testing.T) {
	t.Helper()
	for range twoSeconds {
		select {
		case c := <-w.changes:
			t.Fatalf("expected no change, got %v, %v", names(c.set), c.err)
		case w.ticks <- time.Time{}:
		}
	}
}

func (w *watched) expect(t *testing.T, want ...string) policyset.Set {
	t.Helper()
	c := w.next(t)
	if c.err != nil {
		t.Fatalf("expected policies, got the error %v", c.err)
	}
	if diff := cmp.Diff(want, names(c.set)); diff != "" {
		t.Fatalf("policies (-want +got):\n%s", diff)
	}
	return c.set
}

func TestWatcherLoadsChanges(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{"a.yaml": policyText("a"), "release.pub": publicKey})
	w := watch(t, folder)
	w.quiet(t)
	write(t, folder, map[string]string{"b.yaml": policyText("b")})
	w.expect(t, "a", "b")
	w.quiet(t)
	if err := os.Remove(filepath.Join(folder, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	w.expect(t, "b")
}

func TestWatcherPassesOverTouches(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{"a.yaml": policyText("a"), "release.pub": publicKey})
	w := watch(t, folder)
	write(t, folder, map[string]string{"a.yaml": policyText("a"), "notes.txt": "x"})
	w.quiet(t)
}

func TestWatcherFollowsReferences(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{"policies/a.yaml": policyText("a"), "policies/release.pub": publicKey})
	w := watch(t, filepath.Join(folder, "policies", "a.yaml"))
	write(t, folder, map[string]string{"policies/release.pub": otherKey})
	if set := w.expect(t, "a"); set.Digest == w.first.Digest {
		t.Error("expected another digest for another key")
	}
}

// TestR18BrokenReloadKeepsTheLastGood also shows that it is reported once, and
// that mending it is a change even if it brings the old content back.
func TestR18BrokenReloadKeepsTheLastGood(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{"a.yaml": policyText("a"), "release.pub": publicKey})
	w := watch(t, folder)
	for name, breakIt := range map[string]func(){
		"Policy":    func() { write(t, folder, map[string]string{"a.yaml": policyText("a") + "  mod: Audit\n"}) },
		"Reference": func() { _ = os.Remove(filepath.Join(folder, "release.pub")) },
		"Emptied":   func() { write(t, folder, map[string]string{"a.yaml": ""}) },
		"Removed":   func() { _ = os.Remove(filepath.Join(folder, "a.yaml")) },
		"Replaced":  func() { _ = os.RemoveAll(folder) },
	} {
		t.Run(name, func(t *testing.T) {
			breakIt()
			c := w.next(t)
			var all dialect.Errors
			if !errors.As(c.err, &all) || len(c.set.Policies) != 0 {
				t.Fatalf("expected an error and no policies, got %v, %v", names(c.set), c.err)
			}
			w.quiet(t)
			write(t, folder, map[string]string{"a.yaml": policyText("a"), "release.pub": publicKey})
			if set := w.expect(t, "a"); set.Digest != w.first.Digest {
				t.Errorf("expected the first content's digest, got %s", set.Digest)
			}
		})
	}
}

// TestR18HalfWrittenFileIsNotLoaded: content that was seen at one tick alone is
// not loaded, whatever it is.
func TestR18HalfWrittenFileIsNotLoaded(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{"a.yaml": policyText("a") + "---\n" + policyText("b"), "release.pub": publicKey})
	w := watch(t, folder)
	write(t, folder, map[string]string{"a.yaml": policyText("a")}) // cut between two documents
	w.ticks <- time.Time{}
	write(t, folder, map[string]string{"a.yaml": policyText("a") + "---\n" + policyText("b") + "---\n" + policyText("c")})
	w.expect(t, "a", "b", "c")
}

// TestWatcherFollowsMountedConfigMap swaps the link that kubelet swaps
// (kubernetes pkg/volume/util/atomic_writer.go).
func TestWatcherFollowsMountedConfigMap(t *testing.T) {
	folder := t.TempDir()
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, folder, map[string]string{"..1/a.yaml": policyText("a1"), "..1/release.pub": publicKey})
	link("..1", "..data")
	link(filepath.Join("..data", "a.yaml"), "a.yaml")
	link(filepath.Join("..data", "release.pub"), "release.pub")
	w := watch(t, folder)
	write(t, folder, map[string]string{"..2/a.yaml": policyText("a2"), "..2/release.pub": publicKey})
	link("..2", "..data_tmp")
	if err := os.Rename(filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data")); err != nil {
		t.Fatal(err)
	}
	w.expect(t, "a2")
}

func TestWatcherRefusesToStartBroken(t *testing.T) {
	if _, _, err := policyset.NewWatcher([]string{filepath.Join(t.TempDir(), "absent")}, options()); err == nil {
		t.Error("expected an error, got none")
	}
}

func TestWatcherOfNoPathsEnds(t *testing.T) {
	watcher, _, err := policyset.NewWatcher(nil, options())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	watcher.Run(ctx, nil, func(policyset.Set, error) { t.Error("expected no change") })
}

// TestWatcherFollowsMaterial: what was not known when a policy was loaded makes
// it another policy once it is.
func TestWatcherFollowsMaterial(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{"a.yaml": strings.Replace(policyText("a"), "file: release.pub", "kms: 'awskms:///x'", 1)})
	keeper := &fakeKeeper{}
	signers := policyset.NewSigners(nil)
	signers.Material = keeper
	w := watchWith(t, policyset.Options{Dialects: []dialect.Dialect{native.New(signers, native.Options{})}, Revision: keeper.Revision}, folder)
	pending := func(s policyset.Set) bool {
		_, is := policy.Signatures(s.Policies[0].Require)[0].Signer.(policy.Unavailable)
		return is
	}
	if !pending(w.first) {
		t.Error("expected a pending signer before the key is known")
	}
	w.quiet(t)
	keeper.learn([]byte(publicKey))
	if set := w.expect(t, "a"); pending(set) || set.Digest != w.first.Digest {
		t.Error("expected a signer with the key, of the same files")
	}
	w.quiet(t)
	keeper.learn([]byte("no key"))
	if c := w.next(t); c.err == nil {
		t.Error("R18: expected an error, and so the last that was good to stay")
	}
	keeper.learn(nil)
	if !pending(w.expect(t, "a")) {
		t.Error("expected a pending signer once the key is no longer known")
	}
}

// fakeKeeper knows one key.
type fakeKeeper struct {
	mu       sync.Mutex
	key      []byte
	revision uint64
}

func (k *fakeKeeper) learn(key []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.key = key
	k.revision++
}

func (k *fakeKeeper) Revision() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.revision
}

func (k *fakeKeeper) PublicKey(string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key == nil {
		return nil, notYet(evidence.KeyUnavailable)
	}
	return k.key, nil
}

func (*fakeKeeper) TrustedRoot(dialect.TUFSpec) ([]byte, error) {
	return nil, notYet(evidence.TrustRootUnavailable)
}

// A file that does not load keeps the last good policies, not trust material that
// has ended since.
func TestR18BrokenFileDoesNotKeepEndedMaterial(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{"a.yaml": strings.Replace(policyText("a"), "file: release.pub", "kms: 'awskms:///x'", 1)})
	keeper := &fakeKeeper{}
	keeper.learn([]byte(publicKey))
	signers := policyset.NewSigners(nil)
	signers.Material = keeper
	w := watchWith(t, policyset.Options{Dialects: []dialect.Dialect{native.New(signers, native.Options{})}, Revision: keeper.Revision}, folder)
	write(t, folder, map[string]string{"b.yaml": "apiVersion: bonafide.dev/v1alpha1\nkind: ClusterVerificationPolicy\nmetadata: {name: b}\nspec: {imagez: []}\n"})
	if c := w.next(t); c.err == nil {
		t.Fatal("expected the broken file to be refused")
	}
	keeper.learn(nil)
	set := w.expect(t, "a")
	if _, pending := policy.Signatures(set.Policies[0].Require)[0].Signer.(policy.Unavailable); !pending {
		t.Error("expected a pending signer once the key is no longer known")
	}
	if c := w.next(t); c.err == nil {
		t.Error("expected the broken file to be said again")
	}
}
