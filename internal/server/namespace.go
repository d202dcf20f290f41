package server

import (
	"context"
	"time"

	"github.com/bonafide-dev/bonafide/policy"
)

// NamespaceLabels knows the namespaces of a cluster.
type NamespaceLabels interface {
	// Namespace returns the labels of a namespace, and whether it is known. It is
	// asked for each request: it must not block and must be safe for concurrent
	// use. The labels are not changed, and must not be afterwards.
	Namespace(name string) (labels map[string]string, known bool)
}

// A namespace that was just made is known to the API server, and to us once its
// event has come, which takes some milliseconds. A request from it is held back
// for as long as that may take where the cluster is busy, and no longer than the
// shortest timeout that we register with (TRUST R44) has room for.
const (
	namespaceWait = time.Second
	namespaceLook = 20 * time.Millisecond // between two looks
)

// namespace is what is known of a namespace. Where there is a reader and it does
// not know the namespace, its state is unknown, and policies that select by
// namespace are undecided (TRUST R16).
func (s *Server) namespace(name string) policy.Namespace {
	n := policy.Namespace{State: policy.NamespaceKnown, Name: name}
	if s.options.Namespaces == nil {
		return n
	}
	labels, known := s.options.Namespaces.Namespace(name)
	switch {
	case !known:
		n.State = policy.NamespaceUnknown
	case labels == nil: // none, which is not the same as not knowing them
		n.Labels = map[string]string{}
	default:
		n.Labels = labels
	}
	return n
}

// awaitNamespace is namespace for a name that the API server vouches for.
func (s *Server) awaitNamespace(ctx context.Context, name string) policy.Namespace {
	n := s.namespace(name)
	if n.State != policy.NamespaceUnknown {
		return n
	}
	ctx, cancel := context.WithTimeout(ctx, namespaceWait)
	defer cancel()
	looks := time.NewTicker(namespaceLook)
	defer looks.Stop()
	for n.State == policy.NamespaceUnknown {
		select {
		case <-ctx.Done():
			return n
		case <-looks.C:
			n = s.namespace(name)
		}
	}
	return n
}
