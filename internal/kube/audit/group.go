package audit

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/workload"
)

// question identifies all that a decision may look at. It is a cryptographic
// hash, since authors of Pods choose what goes into it, and must not be able to
// have one Pod answered for by another.
type question [sha256.Size]byte

// group is the Pods that ask the same question.
type group struct {
	namespace string
	name      string // of the first of them, as is
	object    workload.Object
	broken    *evidence.Problem // why it could not be read

	decision engine.Decision // once it was asked
	verdicts []*Verdict      // of its images

	mu      sync.Mutex
	running map[ran]*Verdict // of what runs in place of what was decided
}

// ran is content that runs under an image's name.
type ran struct {
	image  int
	digest imageref.Digest
}

// question hashes what the decision may depend on. Labels are part of it, since
// policies may select by them; replicas of one workload share theirs.
func (g *group) question(n names) question {
	h := sha256.New()
	o := g.object
	fmt.Fprintf(h, "%q %q %q %t\n", g.namespace, o.ServiceAccount, o.PullSecrets, o.Mirror)
	fmt.Fprintf(h, "%q\n", n.told(g.request(nil).Request))
	for _, name := range slices.Sorted(maps.Keys(o.Labels)) {
		fmt.Fprintf(h, "%q=%q\n", name, o.Labels[name])
	}
	for _, i := range o.Images {
		fmt.Fprintf(h, "%q %q %q %q\n", i.List, i.Name, i.Pointer, i.Ref)
	}
	if g.broken != nil {
		fmt.Fprintf(h, "%q", g.broken.Error())
	}
	return question(h.Sum(nil))
}

// request asks as admission does. Nothing is pinned here, and nobody's request
// is answered: there is no operation, and no user.
func (g *group) request(namespaces NamespaceLabels) engine.Request {
	o := g.object
	r := engine.Request{
		Request: policy.Request{
			Namespace: policy.Namespace{State: policy.NamespaceKnown, Name: g.namespace},
			Kind:      o.Kind, Name: g.name, ServiceAccount: o.ServiceAccount, Labels: o.Labels,
		},
		Images: o.Images,
		Puller: evidence.Puller{Namespace: g.namespace, ServiceAccount: o.ServiceAccount, PullSecrets: o.PullSecrets},
	}
	if namespaces == nil {
		return r
	}
	labels, known := namespaces.Namespace(g.namespace)
	r.Namespace.Labels = labels
	if !known {
		r.Namespace.State = policy.NamespaceUnknown
	}
	return r
}

// instead is the image as it runs: the same name with another digest.
func (g *group) instead(r ran) workload.Image {
	image := g.object.Images[r.image]
	image.Ref = g.decision.Images[r.image].Reference.Pin(r.digest)
	return image
}
