package engine_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/workload"
)

// registry is a source in memory that counts what it is asked.
type registry struct {
	mu        sync.Mutex
	manifests map[string][]byte // by "repository:tag" and "repository@digest"
	referrers map[imageref.Digest][]evidence.Descriptor
	blobs     map[imageref.Digest][]byte
	asked     []string
	// fault, if set, is asked first; an error it returns is the answer.
	fault func(ctx context.Context, what string) error
	// identity returns the identity of a puller's credentials.
	identity func(evidence.Puller) string
	// identityAt does so where they depend on the repository.
	identityAt func(evidence.Puller, imageref.Repository) string
	// operators says that the credentials are the operator's.
	operators bool
	// serial answers one question at a time, so that a fault may keep notes.
	serial bool
	turn   sync.Mutex
	// opened are the repositories that were opened.
	opened []string
	// closed returns why a repository cannot be opened.
	closed func(imageref.Repository) error
}

func newRegistry() *registry {
	return &registry{manifests: map[string][]byte{}, blobs: map[imageref.Digest][]byte{}, referrers: map[imageref.Digest][]evidence.Descriptor{}}
}

func (r *registry) OperatorCredentials() bool { return r.operators }

func (r *registry) Source(_ context.Context, p evidence.Puller, repository imageref.Repository) (evidence.Source, string, error) {
	r.mu.Lock()
	r.opened = append(r.opened, repository.String())
	r.mu.Unlock()
	if r.closed != nil {
		if err := r.closed(repository); err != nil {
			return nil, "", err
		}
	}
	if r.identity != nil {
		return r, r.identity(p), nil
	}
	if r.identityAt != nil {
		return r, r.identityAt(p, repository), nil
	}
	return r, "", nil
}

func (r *registry) answer(ctx context.Context, what string) error {
	r.mu.Lock()
	r.asked = append(r.asked, what)
	fault := r.fault
	r.mu.Unlock()
	if r.serial {
		r.turn.Lock()
		defer r.turn.Unlock()
	}
	if fault != nil {
		return fault(ctx, what)
	}
	return nil
}

func (r *registry) count(part string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, what := range r.asked {
		if strings.Contains(what, part) {
			n++
		}
	}
	return n
}

func (r *registry) setFault(fault func(ctx context.Context, what string) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = fault
}

func (r *registry) Manifest(ctx context.Context, ref imageref.Reference) (evidence.Manifest, error) {
	name := ref.Repository().String() + ":" + ref.Tag()
	if d := ref.Digest(); !d.IsZero() {
		name = ref.Repository().String() + "@" + d.String()
	}
	if err := r.answer(ctx, "manifest "+name); err != nil {
		return evidence.Manifest{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	raw, found := r.manifests[name]
	if !found {
		return evidence.Manifest{}, &evidence.Problem{Reason: evidence.ImageNotFound, Expected: name, Got: "404"}
	}
	return evidence.ParseManifest(raw, "")
}

func (r *registry) Blob(ctx context.Context, _ imageref.Repository, d evidence.Descriptor, _ int64) ([]byte, error) {
	if err := r.answer(ctx, "blob "+d.Digest.String()); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blobs[d.Digest], nil
}

func (r *registry) Referrers(ctx context.Context, repository imageref.Repository, d imageref.Digest) (evidence.Referrers, error) {
	if err := r.answer(ctx, "referrers "+repository.String()+"@"+d.String()); err != nil {
		return evidence.Referrers{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return evidence.Referrers{Supported: true, Descriptors: slices.Clone(r.referrers[d])}, nil
}

// push stores an image under a tag and returns its digest.
func (r *registry) push(t testing.TB, tagged, content string) imageref.Digest {
	t.Helper()
	return r.store(t, tagged, []string{content}, "application/vnd.oci.image.layer.v1.tar")
}

// sign stores a cosign signature manifest for digest, a layer a payload. The
// fake signer reads the payload as the name of who signed.
func (r *registry) sign(t testing.TB, repository string, digest imageref.Digest, payloads ...string) {
	t.Helper()
	r.store(t, repository+":sha256-"+digest.Hex()+".sig", payloads, "application/vnd.dev.cosign.simplesigning.v1+json")
}

// attest stores cosign attestations of digest. The fake signer reads a payload
// as "name type document".
func (r *registry) attest(t testing.TB, repository string, digest imageref.Digest, payloads ...string) {
	t.Helper()
	r.store(t, repository+":sha256-"+digest.Hex()+".att", payloads, "application/vnd.dsse.envelope.v1+json")
}

// attach stores an artifact that refers to subject and returns its digest. It
// is listed at the image listedAt, which an honest registry makes the subject.
func (r *registry) attach(t testing.TB, repository, artifactType, content string, subject, listedAt imageref.Digest) imageref.Digest {
	t.Helper()
	raw, digest := r.manifest(t, repository, map[string]any{
		"artifactType": artifactType, "subject": descriptor{"application/vnd.oci.image.manifest.v1+json", subject.String(), 100},
	}, []string{content}, "application/json")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.referrers[listedAt] = append(r.referrers[listedAt], evidence.Descriptor{Digest: digest, Size: int64(len(raw)), ArtifactType: artifactType})
	return digest
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
}

func (r *registry) store(t testing.TB, tagged string, contents []string, mediaType string) imageref.Digest {
	t.Helper()
	at := strings.LastIndex(tagged, ":")
	raw, digest := r.manifest(t, tagged[:at], map[string]any{}, contents, mediaType)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.manifests[tagged] = raw
	return digest
}

// manifest stores a manifest with more fields and its layers.
func (r *registry) manifest(t testing.TB, repository string, more map[string]any, contents []string, mediaType string) ([]byte, imageref.Digest) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var layers []descriptor
	for _, c := range contents {
		d := imageref.DigestOf([]byte(c))
		r.blobs[d] = []byte(c)
		layers = append(layers, descriptor{mediaType, d.String(), len(c)})
	}
	more["schemaVersion"] = 2
	more["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
	more["config"] = descriptor{"application/vnd.oci.image.config.v1+json", imageref.DigestOf([]byte("{}")).String(), 2}
	more["layers"] = layers
	raw, err := json.Marshal(more)
	if err != nil {
		t.Fatal(err)
	}
	digest := imageref.DigestOf(raw)
	r.manifests[repository+"@"+digest.String()] = raw
	return raw, digest
}

// signer is a fake signer whose signatures are payloads that hold its name.
type signer struct {
	name          string
	verified      func() // called at each verification
	err           error
	expires       time.Time
	perRepository bool
	place         evidence.Place
	identity      string // that proofs have; empty: the name
	testimony     *policy.Testimony
}

func (s *signer) ID() policy.SignerID { return policy.SignerID(s.name) }
func (s *signer) Describe() string    { return "key " + s.name }
func (s *signer) Need() evidence.Need {
	return evidence.Need{SimpleSigning: true, Bundle: true, Place: s.place}
}
func (s *signer) PerRepository() bool { return s.perRepository }
func (s *signer) Verify(_ context.Context, _ evidence.Image, item evidence.Item) (policy.Proof, error) {
	if s.verified != nil {
		s.verified()
	}
	if s.err != nil {
		return policy.Proof{}, s.err
	}
	if string(item.Payload) != s.name {
		return policy.Proof{}, &evidence.Problem{Reason: evidence.SignerMismatch, Expected: "a signature by " + s.name, Got: "one by another key"}
	}
	return policy.Proof{
		Identity: cmp.Or(s.identity, s.name), Source: fmt.Sprintf("%s[%d]", item.Manifest, item.Layer), Expires: s.expires, Testimony: s.testimony,
	}, nil
}

func (s *signer) StatementNeed() evidence.Need { return evidence.Need{Envelope: true, Place: s.place} }

func (s *signer) VerifyStatement(_ context.Context, _ evidence.Image, item evidence.Item, predicateType string) (policy.Proof, error) {
	if s.verified != nil {
		s.verified()
	}
	parts := strings.SplitN(string(item.Payload), " ", 3)
	switch {
	case s.err != nil:
		return policy.Proof{}, s.err
	case len(parts) != 3 || parts[0] != s.name:
		return policy.Proof{}, &evidence.Problem{Reason: evidence.SignerMismatch, Expected: "a statement by " + s.name, Got: "one by another key"}
	case parts[1] != predicateType:
		return policy.Proof{}, &evidence.Problem{Reason: evidence.NotAttested, Expected: predicateType, Got: parts[1]}
	}
	return policy.Proof{
		Identity: s.name, Source: fmt.Sprintf("%s[%d]", item.Manifest, item.Layer), Expires: s.expires,
		Statement: policy.NewArtifact(predicateType, []byte(parts[2])),
	}, nil
}

// clock is a clock that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func pattern(t testing.TB, s string) policy.ImagePattern {
	t.Helper()
	p, err := imageref.ParsePattern(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// enforce is a policy that asks for a signature of everything on reg.test.
func enforce(t testing.TB, s *signer) policy.Policy {
	t.Helper()
	return policy.Policy{
		Origin:  policy.Origin{Name: "signed-by-" + s.name},
		Include: []policy.ImagePattern{pattern(t, "reg.test/**")},
		Require: policy.Signature{Name: s.name, Signer: s},
	}
}

// harness is an engine with everything it needs.
type harness struct {
	*engine.Engine
	registry *registry
	index    imageref.Digest // that some tests ask about
	clock    *clock
}

func newHarness(t testing.TB, o engine.Options, policies ...policy.Policy) *harness {
	t.Helper()
	h := &harness{registry: newRegistry(), clock: newClock()}
	o.Now = h.clock.Now
	e, err := engine.New(h.registry, o)
	if err != nil {
		t.Fatal(err)
	}
	h.Engine = e
	e.Swap(engine.NewSnapshot(policies))
	return h
}

// ask decides one image of a Pod at a door that can pin.
func (h *harness) ask(ctx context.Context, ref string) engine.ImageDecision {
	return h.Decide(ctx, request(ref)).Images[0]
}

func request(refs ...string) engine.Request {
	r := engine.Request{Request: policy.Request{Kind: "Pod", Namespace: policy.Namespace{State: policy.NamespaceKnown, Name: "shop"}}, CanPin: true}
	for _, ref := range refs {
		r.Images = append(r.Images, workload.Image{Ref: ref})
	}
	return r
}

// reasons lists the reasons of everything that was not proven about an image.
func reasons(d engine.ImageDecision) []evidence.Reason {
	var found []evidence.Reason
	if d.Problem != nil {
		found = append(found, d.Problem.Reason)
	}
	for _, p := range d.Policies {
		for _, problem := range p.Finding.Problems {
			found = append(found, problem.Reason)
		}
	}
	return found
}
