package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// maxParallelArtifacts bounds how many artifacts of one image are looked at at
// once. Each may hold [evidence.MaxSignatureBytes] while it is read.
const maxParallelArtifacts = 4

// artifact is a referrer of the image, who signed it, and what it says.
type artifact struct {
	item       evidence.Item
	leaves     map[policy.SignerID]policy.Leaf
	failed     *evidence.Problem // why its signatures could not be looked for
	statement  *policy.Statement
	unreadable *evidence.Problem // why there is no statement
}

// artifacts looks at the artifacts of the types that are asked for: who signed
// each (TRUST R22: the referrer's own manifest names the image, and its own
// digest is what must be signed), and what those that are signed say.
func (w *work) artifacts(ctx context.Context, a access, set evidence.Set) {
	type job struct {
		task  artifactTask
		found *artifact
	}
	var jobs []job
	for _, item := range set.Items {
		i := slices.IndexFunc(w.tasks.artifacts, func(t artifactTask) bool { return t.artifactType == item.MediaType })
		if item.Format != evidence.Artifact || i < 0 {
			continue
		}
		if known := w.found[item.Manifest]; known != nil && known.failed == nil {
			continue
		} else if known == nil {
			w.order = append(w.order, item.Manifest)
		}
		found := &artifact{item: item, leaves: map[policy.SignerID]policy.Leaf{}}
		w.found[item.Manifest] = found
		jobs = append(jobs, job{w.tasks.artifacts[i], found})
	}
	if len(jobs) == 0 {
		return
	}
	budget := newBudget(evidence.MaxDecisionBytes)
	slots := make(chan struct{}, maxParallelArtifacts)
	var running sync.WaitGroup
	for _, j := range jobs {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			defer func() { // nobody else would catch it (TRUST R48)
				if p := recover(); p != nil {
					j.found.leaves, j.found.statement = nil, nil
					j.found.failed = &evidence.Problem{Reason: evidence.Internal, Err: fmt.Errorf("panic: %v", p)}
				}
			}()
			w.artifact(ctx, a, j.task, j.found, budget)
		})
	}
	running.Wait()
	w.step("artifacts", fmt.Sprintf("%d looked at", len(jobs)))
}

// artifact finds out who signed one artifact and, if somebody did, what it
// says.
func (w *work) artifact(ctx context.Context, a access, task artifactTask, found *artifact, budget *budget) {
	var need evidence.Need
	for _, s := range task.signers {
		need = need.Union(s.Need())
	}
	key := setKey{repository: w.repository(), credentials: a.credentials, digest: found.item.Manifest, need: need}
	var first *evidence.Set
	for !found.signed() {
		set, _, err := w.engine.evidenceOf(ctx, a, key, first)
		if err != nil {
			found.failed = evidence.ProblemOf(err)
			return
		}
		for _, s := range task.signers {
			found.leaves[s.ID()] = w.engine.verifyOnce(ctx, key, s, set)
		}
		if first != nil || !set.Partial {
			break
		}
		first, key.need.Exhaustive = &set, true
	}
	if task.content && found.signed() {
		found.statement, found.unreadable = w.content(ctx, a, found.item, budget)
	}
}

// signed reports whether anybody who counts signed the artifact.
func (a *artifact) signed() bool {
	for _, leaf := range a.leaves {
		if leaf.Outcome == policy.Allowed {
			return true
		}
	}
	return false
}

// content reads what an artifact says: its single layer. It is remembered with
// its parsed form; whoever asks has listed the artifact with credentials of its
// own.
func (w *work) content(ctx context.Context, a access, item evidence.Item, budget *budget) (*policy.Statement, *evidence.Problem) {
	e, key := w.engine, contentKey{digest: item.Manifest, kind: statementContent}
	if known, found := e.contents.get(key, e.options.Now()); found {
		return known.(*policy.Statement), nil
	}
	if n := len(item.Carrier.Layers); n != 1 {
		return nil, &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: "an artifact with exactly one layer", Got: fmt.Sprintf("%d", n)}
	}
	d := item.Carrier.Layers[0]
	if d.Size < 0 || d.Size > evidence.MaxSignatureBytes || !budget.take(d.Size) {
		return nil, &evidence.Problem{
			Reason:   evidence.LimitExceeded,
			Expected: fmt.Sprintf("at most %d bytes, and %d for all artifacts of an image", evidence.MaxSignatureBytes, evidence.MaxDecisionBytes),
			Got:      fmt.Sprintf("%d", d.Size),
		}
	}
	raw, err := a.source.Blob(ctx, w.repository(), d, evidence.MaxSignatureBytes)
	if err != nil {
		return nil, evidence.ProblemOf(err)
	}
	if int64(len(raw)) != d.Size || !d.Digest.Names(raw) {
		return nil, &evidence.Problem{Reason: evidence.DigestMismatch, Expected: fmt.Sprintf("%d bytes with digest %s", d.Size, d.Digest), Got: "other content"}
	}
	statement, now := policy.NewArtifact(item.MediaType, raw), e.options.Now()
	e.contents.put(key, statement, statement.Size(), now, now.Add(contentTTL))
	return statement, nil
}

// budget is an amount of bytes that concurrent readers share.
type budget struct {
	mu   sync.Mutex
	left int64
}

func newBudget(bytes int64) *budget { return &budget{left: bytes} }

func (b *budget) take(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.left {
		return false
	}
	b.left -= n
	return true
}
