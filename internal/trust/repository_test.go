package trust_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/internal/trust"
)

const (
	day         = 24 * time.Hour
	mirrorURL   = "https://tuf.acme.example/repository"
	mirrorHost  = "tuf.acme.example"
	defaultName = "trusted_root.json"
)

// start is when the tests' clocks start.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: start} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// repository is a TUF repository that can be made to lie: every part of its
// metadata can be changed before it is signed, by whichever key.
type repository struct {
	t     testing.TB
	keys  map[string]signature.Signer // by role
	root  *metadata.Metadata[metadata.RootType]
	stamp *metadata.Metadata[metadata.TimestampType]
	snap  *metadata.Metadata[metadata.SnapshotType]
	list  *metadata.Metadata[metadata.TargetsType]

	mu    sync.Mutex
	files map[string][]byte // by path below the mirror
}

func newRepository(t testing.TB, target string) *repository {
	t.Helper()
	r := &repository{t: t, keys: map[string]signature.Signer{}, files: map[string][]byte{}}
	r.root = metadata.Root(start.Add(365 * day))
	r.stamp = metadata.Timestamp(start.Add(7 * day))
	r.snap = metadata.Snapshot(start.Add(30 * day))
	r.list = metadata.Targets(start.Add(60 * day))
	for _, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		r.rekey(role)
	}
	r.write("1.root.json", r.signed(r.root, metadata.ROOT))
	r.setTarget(defaultName, target)
	r.publish()
	return r
}

// newKey returns a key of its own for each call.
func newKey(t testing.TB) signature.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := signature.LoadED25519Signer(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// rekey gives a role another key in the root, which is not published by that.
func (r *repository) rekey(role string) {
	r.t.Helper()
	for _, id := range r.root.Signed.Roles[role].KeyIDs {
		if err := r.root.Signed.RevokeKey(id, role); err != nil {
			r.t.Fatal(err)
		}
	}
	r.keys[role] = newKey(r.t)
	key := publicKey(r.t, r.keys[role])
	if err := r.root.Signed.AddKey(key, role); err != nil {
		r.t.Fatal(err)
	}
}

func publicKey(t testing.TB, signer signature.Signer) *metadata.Key {
	t.Helper()
	public, err := signer.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	key, err := metadata.KeyFromPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// document is metadata of any role.
type document interface {
	Sign(signature.Signer) (*metadata.Signature, error)
	ToBytes(bool) ([]byte, error)
	ClearSignatures()
}

// signed signs a document with a role's key alone.
func (r *repository) signed(d document, role string) []byte {
	r.t.Helper()
	return r.signedBy(d, r.keys[role])
}

func (r *repository) signedBy(d document, signers ...signature.Signer) []byte {
	r.t.Helper()
	d.ClearSignatures()
	for _, s := range signers {
		if _, err := d.Sign(s); err != nil {
			r.t.Fatal(err)
		}
	}
	raw, err := d.ToBytes(false)
	if err != nil {
		r.t.Fatal(err)
	}
	return raw
}

func (r *repository) write(name string, content []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[name] = content
}

func (r *repository) remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.files, name)
}

func (r *repository) file(name string) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	content, found := r.files[name]
	return content, found
}

// setTarget puts content under a name, which publish then lists.
func (r *repository) setTarget(name, content string) {
	sum := sha256.Sum256([]byte(content))
	r.list.Signed.Targets[name] = &metadata.TargetFiles{Length: int64(len(content)), Hashes: metadata.Hashes{"sha256": sum[:]}}
	hashed := name
	if r.root.Signed.ConsistentSnapshot {
		dir, base := "", name
		if i := strings.LastIndex(name, "/"); i >= 0 {
			dir, base = name[:i+1], name[i+1:]
		}
		hashed = dir + hex.EncodeToString(sum[:]) + "." + base
	}
	r.write("targets/"+hashed, []byte(content))
}

// publish signs everything but the root as it is.
func (r *repository) publish() {
	r.t.Helper()
	r.snap.Signed.Meta["targets.json"] = metadata.MetaFile(r.list.Signed.Version)
	r.stamp.Signed.Meta["snapshot.json"] = metadata.MetaFile(r.snap.Signed.Version)
	r.write(r.versioned(r.list.Signed.Version, "targets.json"), r.signed(r.list, metadata.TARGETS))
	r.write(r.versioned(r.snap.Signed.Version, "snapshot.json"), r.signed(r.snap, metadata.SNAPSHOT))
	r.write("timestamp.json", r.signed(r.stamp, metadata.TIMESTAMP))
}

func (r *repository) versioned(version int64, name string) string {
	if !r.root.Signed.ConsistentSnapshot {
		return name
	}
	return fmt.Sprintf("%d.%s", version, name)
}

// advance makes new versions of all but the root.
func (r *repository) advance() {
	r.list.Signed.Version++
	r.snap.Signed.Version++
	r.stamp.Signed.Version++
}

// update publishes another trusted root.
func (r *repository) update(content string) {
	r.t.Helper()
	r.advance()
	r.setTarget(defaultName, content)
	r.publish()
}

// rotate publishes a new root with other keys for the roles, signed by the old
// root's key and its own.
func (r *repository) rotate(roles ...string) {
	r.t.Helper()
	old := r.keys[metadata.ROOT]
	for _, role := range roles {
		r.rekey(role)
	}
	r.root.Signed.Version++
	signers := []signature.Signer{old}
	if r.keys[metadata.ROOT] != old {
		signers = append(signers, r.keys[metadata.ROOT])
	}
	r.write(fmt.Sprintf("%d.root.json", r.root.Signed.Version), r.signedBy(r.root, signers...))
}

func (r *repository) pinned() []byte {
	raw, _ := r.file("1.root.json")
	return raw
}

func (r *repository) spec() dialect.TUFSpec {
	return dialect.TUFSpec{Mirror: mirrorURL, Root: r.pinned()}
}

// network answers for mirrors by host.
type network struct {
	mu      sync.Mutex
	hosts   map[string]func(path string) (*http.Response, error)
	asked   []string
	refused error // what every request ends with, if set
}

func newNetwork(r *repository) *network {
	n := &network{hosts: map[string]func(string) (*http.Response, error){}}
	n.serve(mirrorHost, r)
	return n
}

func (n *network) serve(host string, r *repository) {
	n.hosts[host] = func(path string) (*http.Response, error) {
		content, found := r.file(strings.TrimPrefix(path, "/repository/"))
		if !found {
			return answer(http.StatusNotFound, strings.NewReader("no such file")), nil
		}
		return answer(http.StatusOK, bytes.NewReader(content)), nil
	}
}

func answer(status int, body io.Reader) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(body), ContentLength: -1}
}

// answerTo replaces the answer to one file's request.
func (n *network) answerTo(file string, with func() (*http.Response, error)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	before := n.hosts[mirrorHost]
	n.hosts[mirrorHost] = func(path string) (*http.Response, error) {
		if path == "/repository/"+file {
			return with()
		}
		return before(path)
	}
}

func (n *network) down(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refused = err
}

func (n *network) requests() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	asked := n.asked
	n.asked = nil
	return asked
}

// RoundTrip implements [http.RoundTripper].
func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.asked = append(n.asked, req.URL.Path)
	refused, host := n.refused, n.hosts[req.URL.Host]
	n.mu.Unlock()
	switch {
	case refused != nil:
		return nil, refused
	case host == nil:
		return nil, &url.Error{Op: "Get", URL: req.URL.String(), Err: errors.New("no such host")}
	case req.Header.Get("Accept-Encoding") != "identity":
		return nil, errors.New("expected to be asked for files as they are")
	}
	return host(req.URL.Path)
}

var errDown = &net.OpError{Op: "dial", Net: "tcp", Source: &net.TCPAddr{Port: 40123}, Err: syscall.ECONNREFUSED}

// endless is a body that does not end.
type endless struct{ read *int }

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	*e.read += len(p)
	return len(p), nil
}

// rig is a Keeper with a mirror, at a time of its own.
type rig struct {
	t       testing.TB
	clock   *clock
	repo    *repository
	network *network
	options trust.Options
	keeper  *trust.Keeper
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, clock: newClock(), repo: newRepository(t, "root of the first day")}
	r.network = newNetwork(r.repo)
	r.options = trust.Options{Now: r.clock.Now, Transport: r.network, Dir: t.TempDir() + "/cache"}
	r.restart()
	return r
}

// restart makes another Keeper, as another process would.
func (r *rig) restart() { r.keeper = trust.New(r.options) }

// fetch looks at everything that is due.
func (r *rig) fetch() { r.keeper.Fetch(r.t.Context()) }

// again looks once more, whenever the next look is due.
func (r *rig) again() {
	r.clock.add(2 * time.Hour)
	r.fetch()
}

// known returns what the Keeper knows, and "" if it knows nothing.
func (r *rig) known() string {
	r.t.Helper()
	content, err := r.keeper.TrustedRoot(r.repo.spec())
	if err != nil && content != nil {
		r.t.Errorf("TrustedRoot() = %d bytes beside the error %v", len(content), err)
	}
	return string(content)
}

func (r *rig) status() trust.Status {
	r.t.Helper()
	all := r.keeper.Status()
	if len(all) != 1 {
		r.t.Fatalf("Status() = %d sources, want 1", len(all))
	}
	return all[0]
}

// hashedTarget is the file of the trusted root with a content.
func hashedTarget(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "targets/" + hex.EncodeToString(sum[:]) + "." + defaultName
}
