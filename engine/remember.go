package engine

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// The keys of what is remembered and of flights. Whatever depends on what a
// caller may see holds the repository and the identity of the credentials
// (TRUST R36); a proof does not.
type (
	tagKey struct {
		repository  imageref.Repository
		credentials string
		tag         string
	}
	setKey struct {
		repository  imageref.Repository
		credentials string
		reader      string // identity of the credentials that read the need's place
		digest      imageref.Digest
		within      imageref.Digest // the index whose own statements these are
		need        evidence.Need
		extent      extent
	}
	verifyKey struct {
		set    setKey
		signer policy.SignerID
	}
	// statingKey is of statements that are verified among those of a set, or read
	// there under somebody's signature of the index.
	statingKey struct {
		set   setKey
		proof proofKey
		by    string
	}
	// proofKey is R34's key. The signer's identity covers its material and
	// options by content; the repository is set for signers that look at it. A
	// proof is of one digest: that of an index, or of one of its platforms. What
	// follows is set for statements alone, whose text is for callers whose
	// credentials can read it.
	proofKey struct {
		digest        imageref.Digest
		repository    imageref.Repository
		signer        policy.SignerID
		predicateType string
		credentials   string
		place         imageref.Repository // that the statement was read from
		reader        string              // identity of the credentials that read it there
		within        imageref.Digest     // the index that holds the statement unsigned
	}
	// contentKey has the repository and the credentials beside the digest: who
	// names a digest has not shown that it can read what the digest is of.
	contentKey struct {
		repository  imageref.Repository
		credentials string
		digest      imageref.Digest
		kind        contentKind
	}
)

type contentKind uint8

const (
	manifestContent contentKind = iota
	blobContent
	statementContent // of an artifact, by the digest of its manifest
)

// contentTTL only bounds how long unused content stays; content by digest
// cannot become stale.
const contentTTL = time.Hour

// proven is a set of proofs by one signer. It is kept longer than it is valid,
// for policies that allow what was proven before (TRUST R35).
type proven struct {
	proofs []policy.Proof
	at     time.Time         // when they were verified
	until  time.Time         // from then on they are no proof any more
	over   [sha256.Size]byte // what statements were found among
}

// signatureKey is the key of proofs that a signer signed a digest.
func signatureKey(image imageref.Repository, digest imageref.Digest, s policy.Signer) proofKey {
	k := proofKey{digest: digest, signer: s.ID()}
	if s.PerRepository() {
		k.repository = image
	}
	return k
}

// statementKey is the key of proofs that a signer made statements.
func (s *subject) statementKey(task statementTask, g *gathering) proofKey {
	return proofKey{
		digest: s.digest, repository: s.repository(), signer: task.signer, predicateType: task.predicateType,
		credentials: g.eyes.image.credentials, place: g.place.Repository, reader: g.eyes.place.credentials,
	}
}

// recall returns the proofs of key, and whether they are valid now or were
// proven before.
func (e *Engine) recall(key proofKey) (p proven, valid, before bool) {
	now := e.options.Now()
	p, found := e.proofs.get(key, now)
	if !found {
		return proven{}, false, false
	}
	return p, now.Before(p.until), true
}

// learn remembers proofs. Those that end early end the entry: what is kept for
// AllowIfProvenBefore never outlives a certificate, a signature or a revocation
// answer.
func (e *Engine) learn(key proofKey, proofs []policy.Proof, over [sha256.Size]byte) {
	now := e.options.Now()
	p := proven{proofs: proofs, at: now, until: now.Add(e.options.ProofTTL), over: over}
	end := now.Add(provenBefore)
	size := 0
	for _, proof := range proofs {
		if !proof.Expires.IsZero() && proof.Expires.Before(end) {
			end = proof.Expires
		}
		size += len(proof.Identity) + len(proof.Who) + len(proof.Source) + len(proof.Reference) + 160
		if proof.Statement != nil {
			size += proof.Statement.Size()
		}
		size += proof.Testimony.Size() + len(proof.Evidence)
	}
	if end.Before(p.until) {
		p.until = end
	}
	e.proofs.put(key, p, size, now, end)
}

// remembered is a source that reads content by digest once.
type remembered struct {
	evidence.Source
	engine      *Engine
	credentials string
}

func (r remembered) key(repository imageref.Repository, digest imageref.Digest, kind contentKind) contentKey {
	return contentKey{repository: repository, credentials: r.credentials, digest: digest, kind: kind}
}

// Manifest implements [evidence.Source].
func (r remembered) Manifest(ctx context.Context, ref imageref.Reference) (evidence.Manifest, error) {
	if ref.Digest().IsZero() {
		return r.Source.Manifest(ctx, ref)
	}
	key := r.key(ref.Repository(), ref.Digest(), manifestContent)
	if known, found := r.engine.contents.get(key, r.engine.options.Now()); found {
		r.engine.options.Observer.CacheLooked("content", true)
		return known.(evidence.Manifest), nil
	}
	r.engine.options.Observer.CacheLooked("content", false)
	// Several looks may ask for one image at once.
	return r.engine.reading.do(ctx, key, func(ctx context.Context) (evidence.Manifest, error) {
		if known, found := r.engine.contents.get(key, r.engine.options.Now()); found { // a flight has just landed
			return known.(evidence.Manifest), nil
		}
		m, err := r.Source.Manifest(ctx, ref)
		if err == nil {
			r.engine.rememberManifest(key, m)
		}
		return m, err
	})
}

// rememberManifest keeps a manifest by its digest, unless its type is only a
// header's word: another registry may call the same bytes something else.
func (e *Engine) rememberManifest(key contentKey, m evidence.Manifest) {
	if m.Untyped {
		return
	}
	now := e.options.Now()
	e.contents.put(key, m, m.Weight(), now, now.Add(contentTTL))
}

// Blob implements [evidence.Source].
func (r remembered) Blob(ctx context.Context, repository imageref.Repository, d evidence.Descriptor, limit int64) ([]byte, error) {
	key := r.key(repository, d.Digest, blobContent)
	if known, found := r.engine.contents.get(key, r.engine.options.Now()); found && int64(len(known.([]byte))) <= limit {
		r.engine.options.Observer.CacheLooked("content", true)
		return known.([]byte), nil
	}
	r.engine.options.Observer.CacheLooked("content", false)
	b, err := r.Source.Blob(ctx, repository, d, limit)
	if err == nil {
		now := r.engine.options.Now()
		r.engine.contents.put(key, b, len(b), now, now.Add(contentTTL))
	}
	return b, err
}
