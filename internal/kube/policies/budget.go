package policies

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// How many Secrets and ConfigMaps are watched, one watch each. Whoever may create
// policies in a namespace can name as many as they like: they take nothing away
// from the policies of the whole cluster, and from other namespaces no more than
// an equal share.
const (
	// maxClusterReferences is for cluster-scoped policies together: as many as there
	// are policies in a large cluster.
	maxClusterReferences = 2000
	// maxNamespaceReferences is for the policies of one namespace: far more keys than
	// sign what one team runs.
	maxNamespaceReferences = 50
	// maxNamespacedReferences is for the policies of all namespaces together, which
	// bounds the watches of one replica at the API server.
	maxNamespacedReferences = 2000
)

// claim is a reference by a policy of a namespace, or of none.
type claim struct {
	owner string
	reference
}

// admit returns what of the claims is watched, and which are not met, with the
// bound that they exceed. It depends on nothing but the claims, so that replicas
// agree: those that policies write now, which are true, come before those that
// their last good versions wrote; of each the first names are met; where all namespaces together
// claim too much, each has its first before any has its second.
func admit(claims map[claim]bool) (granted map[reference]bool, refused map[claim]string) {
	granted, refused = make(map[reference]bool), make(map[claim]string)
	of := make(map[string][]claim)
	for c := range claims {
		of[c.owner] = append(of[c.owner], c)
	}
	turn := func(meet []claim, most int, whose string) {
		for i, c := range meet {
			if i < most {
				granted[c.reference] = true
				continue
			}
			refused[c] = fmt.Sprintf("expected at most %d Secrets and ConfigMaps in %s", most, whose)
		}
	}
	turns := make([][]claim, maxNamespaceReferences)
	for _, owner := range slices.Sorted(maps.Keys(of)) {
		all := of[owner]
		slices.SortFunc(all, func(a, b claim) int {
			return cmp.Or(rank(claims[a], claims[b]), cmp.Compare(a.kind, b.kind), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
		})
		if owner == "" {
			turn(all, maxClusterReferences, "all cluster-scoped policies")
			continue
		}
		for i, c := range all[:min(len(all), maxNamespaceReferences)] {
			turns[i] = append(turns[i], c)
		}
		for _, c := range all[min(len(all), maxNamespaceReferences):] {
			refused[c] = fmt.Sprintf("expected at most %d Secrets and ConfigMaps in the policies of a namespace", maxNamespaceReferences)
		}
	}
	turn(slices.Concat(turns...), maxNamespacedReferences, "the policies of all namespaces")
	return granted, refused
}

// rank puts what is written before what was.
func rank(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
