package audit

import (
	"context"
	"fmt"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/workload"
)

// Bounds on listing.
const (
	// pageSize is how many Pods are held whole at once: a Pod is some 10 KiB, and
	// decoded several times that.
	pageSize = 100
	// maxPods is what Kubernetes supports in one cluster.
	maxPods = 150_000
	// maxListings is how often a listing begins anew that took longer than the
	// API server keeps its page marks, five minutes by default.
	maxListings = 3
)

// mayRun selects the Pods of which something runs or will: a Pod's status is
// not its author's to write.
const mayRun = "status.phase!=Succeeded,status.phase!=Failed"

// pod is what is kept of a Pod.
type pod struct {
	name  string
	uid   types.UID
	group *group
	// running is, for the images that the object names without digest and
	// kubelet names with one, what kubelet names; nil if there are none.
	running map[int]imageref.Digest
	// vague are the images of which kubelet names something that says nothing
	// about the registry's content.
	vague map[int]bool
}

// list returns the Pods that may run, with the questions that they ask.
func (a *Auditor) list(ctx context.Context) (*listing, error) {
	var err error
	for range maxListings {
		l := &listing{groups: map[question]*group{}, rules: rulesOf(a.options.Decider)}
		if err = a.listInto(ctx, l); err == nil {
			return l, nil
		}
		if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			break
		}
	}
	return nil, fmt.Errorf("audit: list pods: %w", err)
}

func (a *Auditor) listInto(ctx context.Context, l *listing) error {
	resource := a.options.Client.Dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(a.options.In)
	options := metav1.ListOptions{Limit: pageSize, FieldSelector: mayRun}
	for {
		page, err := resource.List(ctx, options)
		if err != nil {
			return err
		}
		if len(l.pods)+len(page.Items) > maxPods {
			return fmt.Errorf("expected at most %d, got more", maxPods)
		}
		for i := range page.Items {
			l.add(&page.Items[i])
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

// listing is the Pods of a sweep by what they ask.
type listing struct {
	pods    []pod
	groups  map[question]*group
	ordered []*group // as they were met
	// decisions is how many questions were asked about them.
	decisions atomic.Int64
	rules     rules
}

// add keeps of a Pod what deciding needs.
func (l *listing) add(u *unstructured.Unstructured) {
	u.Object["apiVersion"], u.Object["kind"] = "v1", "Pod"
	object, err := workload.Walk(u.Object)
	g := &group{namespace: u.GetNamespace(), name: u.GetName(), object: object, broken: evidence.ProblemOf(err)}
	q := g.question(l.rules.names)
	if known := l.groups[q]; known != nil {
		g = known
	} else {
		l.groups[q] = g
		l.ordered = append(l.ordered, g)
	}
	p := pod{name: u.GetName(), uid: u.GetUID(), group: g}
	p.status(u.Object)
	l.pods = append(l.pods, p)
}

// status keeps what kubelet says of the images that the object names by tag. A
// name with a digest is all that kubelet pulls by.
func (p *pod) status(root map[string]any) {
	var ids map[string]string
	for i, image := range p.group.object.Images {
		if !named(image.Ref) {
			continue
		}
		if ids == nil {
			ids = imageIDs(root)
		}
		id := ids[image.List+"/"+image.Name]
		if id == "" { // nothing was started yet, or it is a volume
			continue
		}
		digest, comparable := runningDigest(id)
		if !comparable {
			p.vague = set(p.vague, i, true)
			continue
		}
		p.running = set(p.running, i, digest)
	}
}

func set[V any](m map[int]V, i int, value V) map[int]V {
	if m == nil {
		m = map[int]V{}
	}
	m[i] = value
	return m
}

// named reports a reference without a digest.
func named(ref string) bool {
	r, err := imageref.Parse(ref)
	return err == nil && r.Digest().IsZero()
}
