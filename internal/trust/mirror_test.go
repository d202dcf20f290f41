package trust_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/bonafide-dev/bonafide/evidence"
)

func TestNothingIsKnownBeforeTheFirstFetch(t *testing.T) {
	r := newRig(t)
	_, err := r.keeper.TrustedRoot(r.repo.spec())
	if p := evidence.ProblemOf(err); p.Reason != evidence.TrustRootUnavailable || !strings.Contains(p.Path, mirrorHost) {
		t.Errorf("TrustedRoot() = %v (%s), want TrustRootUnavailable that names the mirror", err, p.Reason)
	}
	if asked := r.network.requests(); len(asked) != 0 {
		t.Errorf("TrustedRoot() asked for %q, want nothing asked: decisions do not wait", asked)
	}
	before := r.keeper.Revision()
	r.fetch()
	if r.keeper.Revision() == before {
		t.Error("Revision() did not change when the root became known")
	}
	if got := r.known(); got != "root of the first day" {
		t.Errorf("TrustedRoot() = %q after the fetch", got)
	}
	want := []string{
		"/repository/2.root.json", "/repository/timestamp.json", "/repository/1.snapshot.json", "/repository/1.targets.json",
	}
	asked := r.network.requests()
	if diff := cmp.Diff(want, asked[:min(len(asked), 4)]); diff != "" || len(asked) != 5 || !strings.HasSuffix(asked[4], "."+defaultName) {
		t.Errorf("the fetch asked for %q, want the client workflow's files\n%s", asked, diff)
	}
}

func TestRefresh(t *testing.T) {
	r := newRig(t)
	r.known()
	r.fetch()
	first := r.known()
	before := r.keeper.Revision()

	r.network.requests()
	r.fetch()
	if asked := r.network.requests(); len(asked) != 0 {
		t.Errorf("a fetch before anything is due asked for %q", asked)
	}
	r.again()
	if asked := r.network.requests(); !cmp.Equal(asked, []string{"/repository/2.root.json", "/repository/timestamp.json"}) {
		t.Errorf("a fetch without news asked for %q, want the root and the timestamp alone", asked)
	}
	if r.keeper.Revision() != before || r.known() != first {
		t.Error("the revision or the root changed without news")
	}
	r.repo.update("root of the second day")
	r.again()
	if got := r.known(); got != "root of the second day" || r.keeper.Revision() == before {
		t.Errorf("TrustedRoot() = %q after the mirror changed, with the revision changed: %t", got, r.keeper.Revision() != before)
	}
}

func TestRevisionTellsWhoeverWasToldOtherwise(t *testing.T) {
	r := newRig(t)
	before := r.keeper.Revision()
	r.known()
	r.fetch()
	r.known() // a second signer of the same policies is told more than the first
	if r.keeper.Revision() == before {
		t.Error("Revision() did not change between two answers that differ")
	}
}

func TestRootRotation(t *testing.T) {
	tests := map[string]struct {
		reason string
		roles  []string
	}{
		"Root":      {"the next root is signed by the old key and the new", []string{metadata.ROOT}},
		"Timestamp": {"a repository whose timestamp key was lost recovers, §5.3.11", []string{metadata.TIMESTAMP}},
		"Everything": {"all keys at once", []string{
			metadata.ROOT, metadata.TIMESTAMP, metadata.SNAPSHOT, metadata.TARGETS,
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.known()
			r.fetch()
			r.repo.rotate(tc.roles...)
			r.repo.rotate(tc.roles...)
			r.repo.update("root of other keys")
			r.again()
			if got := r.known(); got != "root of other keys" {
				t.Fatalf("TrustedRoot() = %q (%v); %s", got, r.status().Err, tc.reason)
			}
			r.network.down(errDown)
			r.restart()
			if got := r.known(); got != "root of other keys" {
				t.Errorf("TrustedRoot() = %q from disk (%v), want the rotations replayed", got, r.status().CacheErr)
			}
		})
	}
}

func TestRecoversFromFastForward(t *testing.T) {
	r := newRig(t)
	r.known()
	r.repo.stamp.Signed.Version = 1 << 40 // by whoever had the timestamp's key
	r.repo.publish()
	r.fetch()
	r.repo.rotate(metadata.TIMESTAMP)
	r.repo.stamp.Signed.Version = 2
	r.repo.publish()
	r.again()
	if err := r.status().Err; err != nil {
		t.Errorf("the refresh after the key was replaced: %v", err)
	}
}

func TestRepositoryWithoutConsistentSnapshots(t *testing.T) {
	r := newRig(t)
	r.repo.root.Signed.ConsistentSnapshot = false
	r.repo.write("1.root.json", r.repo.signed(r.repo.root, metadata.ROOT))
	r.repo.setTarget(defaultName, "plain names")
	r.repo.publish()
	r.known()
	r.fetch()
	if got := r.known(); got != "plain names" {
		t.Errorf("TrustedRoot() = %q (%v)", got, r.status().Err)
	}
}

func TestTargetInAFolder(t *testing.T) {
	r := newRig(t)
	r.repo.setTarget("staging/v1/root.json", "in a folder")
	r.repo.publish()
	spec := r.repo.spec()
	spec.Target = "staging/v1/root.json"
	_, _ = r.keeper.TrustedRoot(spec)
	r.fetch()
	if got, err := r.keeper.TrustedRoot(spec); string(got) != "in a folder" {
		t.Errorf("TrustedRoot() = %q, %v", got, err)
	}
}

func TestMirrorsSideBySide(t *testing.T) {
	r := newRig(t)
	private := newRepository(t, "the private instance's root")
	r.network.serve("tuf.private.example", private)
	spec := private.spec()
	spec.Mirror = "https://tuf.private.example/repository"
	_, _ = r.keeper.TrustedRoot(spec)
	r.known()
	r.fetch()
	if got, err := r.keeper.TrustedRoot(spec); string(got) != "the private instance's root" {
		t.Errorf("the private root is %q, %v", got, err)
	}
	if got := r.known(); got != "root of the first day" {
		t.Errorf("the public root is %q", got)
	}
	crossed := private.spec()
	crossed.Mirror = mirrorURL // one's mirror by the other's root
	_, _ = r.keeper.TrustedRoot(crossed)
	r.fetch()
	if got, err := r.keeper.TrustedRoot(crossed); err == nil {
		t.Errorf("a mirror is believed by another's root: %q", got)
	}
}

func TestFailureKeepsTheLastGood(t *testing.T) {
	r := newRig(t)
	r.known()
	r.fetch()
	r.repo.update("newer")
	before := r.keeper.Revision()
	r.network.down(errDown)
	r.again()
	if got := r.known(); got != "root of the first day" || r.keeper.Revision() != before {
		t.Errorf("TrustedRoot() = %q while the mirror is down", got)
	}
	if s := r.status(); s.Err == nil || !s.Known || s.Stale || strings.Contains(s.Err.Error(), "40123") {
		t.Errorf("Status() = %+v, want known, with the failure, without local ports", s)
	}
	r.network.down(nil)
	r.again()
	if got := r.known(); got != "newer" || r.status().Err != nil {
		t.Errorf("TrustedRoot() = %q, %v after the mirror came back", got, r.status().Err)
	}
}

func TestRetriesSlowDown(t *testing.T) {
	r := newRig(t)
	r.network.down(errDown)
	r.known()
	attempts := 0
	for range 3600 {
		r.fetch()
		attempts += len(r.network.requests())
		r.clock.add(time.Second)
	}
	if attempts < 10 || attempts > 20 {
		t.Errorf("a mirror that is down was asked %d times in an hour, want 10 to 20", attempts)
	}
}

// TestR1MirrorIsBounded has mirrors that send more than anybody needs.
func TestR1MirrorIsBounded(t *testing.T) {
	tests := map[string]struct {
		reason string
		file   string
		most   int
	}{
		"EndlessRoot":      {"a root is bounded", "2.root.json", 1 << 18},
		"EndlessTimestamp": {"a timestamp is bounded", "timestamp.json", 1 << 15},
		"EndlessSnapshot":  {"a snapshot is bounded", "1.snapshot.json", 1 << 20},
		"EndlessTargets":   {"the list of targets is bounded", "1.targets.json", 1 << 21},
		"EndlessTarget":    {"the target has the length that was signed", "target", 1 << 10},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			read, file := 0, tc.file
			if file == "target" {
				file = targetFile(t, r.repo)
			}
			r.network.answerTo(file, func() (*http.Response, error) { return answer(http.StatusOK, endless{&read}), nil })
			r.known()
			r.fetch()
			if got := r.known(); got != "" || r.status().Err == nil {
				t.Errorf("TrustedRoot() = %q; %s", got, tc.reason)
			}
			if read == 0 || read > tc.most {
				t.Errorf("read %d bytes, want at most %d; %s", read, tc.most, tc.reason)
			}
		})
	}
}

func targetFile(t *testing.T, r *repository) string {
	t.Helper()
	for name := range r.files {
		if strings.HasSuffix(name, "."+defaultName) {
			return name
		}
	}
	t.Fatal("no target")
	return ""
}

func TestR1EndlessRoots(t *testing.T) {
	r := newRig(t)
	for range 80 {
		r.repo.rotate(metadata.ROOT)
	}
	r.known()
	r.fetch()
	if got := r.known(); got != "" || r.status().Err == nil {
		t.Errorf("TrustedRoot() = %q after 80 rotations, want the refresh ended", got)
	}
	if asked := len(r.network.requests()); asked > 66 {
		t.Errorf("asked for %d files", asked)
	}
}

func TestR1NothingIsDecompressed(t *testing.T) {
	for name, edit := range map[string]func(*http.Response){
		"ByTheServer":    func(a *http.Response) { a.Header.Set("Content-Encoding", "gzip") },
		"ByTheTransport": func(a *http.Response) { a.Uncompressed = true },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			raw, _ := r.repo.file("timestamp.json")
			r.network.answerTo("timestamp.json", func() (*http.Response, error) {
				a := answer(http.StatusOK, strings.NewReader(string(raw)))
				edit(a)
				return a, nil
			})
			r.known()
			r.fetch()
			if got := r.known(); got != "" {
				t.Errorf("TrustedRoot() = %q through a compressed file", got)
			}
		})
	}
}

func TestR8RedirectIsNotFollowed(t *testing.T) {
	r := newRig(t)
	r.network.answerTo("timestamp.json", func() (*http.Response, error) {
		a := answer(http.StatusFound, strings.NewReader(""))
		a.Header.Set("Location", "https://169.254.169.254/")
		return a, nil
	})
	r.known()
	r.fetch()
	if got := r.known(); got != "" {
		t.Errorf("TrustedRoot() = %q through a redirect", got)
	}
}

func TestR48PanicYieldsNothing(t *testing.T) {
	r := newRig(t)
	r.network.answerTo("timestamp.json", func() (*http.Response, error) { panic("boom") })
	r.known()
	r.fetch()
	if got := r.known(); got != "" || r.status().Err == nil {
		t.Errorf("TrustedRoot() = %q, %v after a panic", got, r.status().Err)
	}
}

func TestTargetThatIsNoTrustedRoot(t *testing.T) {
	errBoom := errors.New("boom")
	r := newRig(t)
	r.options.CheckTrustedRoot = func(content []byte) error {
		if strings.Contains(string(content), "garbage") {
			return errBoom
		}
		return nil
	}
	r.restart()
	r.known()
	r.fetch()
	r.repo.update("garbage")
	r.again()
	if got := r.known(); got != "root of the first day" || !errors.Is(r.status().Err, errBoom) {
		t.Errorf("TrustedRoot() = %q, %v, want the last that was one", got, r.status().Err)
	}
}
