package server

import (
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxScopeNamespaces bounds OnlyNamespaces and ExcludeNamespaces: the API server
// goes through the names for every request.
const maxScopeNamespaces = 1000

// namespaceNameLabel is the label that the API server itself sets to a
// namespace's name.
const namespaceNameLabel = "kubernetes.io/metadata.name"

// systemNamespaces are those that must never be locked out.
func (c WebhookConfig) systemNamespaces() []string {
	names := []string{kubeSystem, c.SystemNamespace}
	slices.Sort(names)
	return slices.Compact(names)
}

// main selects the namespaces where nothing is admitted without us: all but the
// system's, or fewer if the operator says so. Names alone select (TRUST R44):
// whoever may label a namespace could otherwise leave.
func (c WebhookConfig) main() *metav1.LabelSelector {
	if len(c.OnlyNamespaces) > 0 {
		return namesSelector(metav1.LabelSelectorOpIn, c.OnlyNamespaces)
	}
	return namesSelector(metav1.LabelSelectorOpNotIn, slices.Concat(c.systemNamespaces(), c.ExcludeNamespaces))
}

// system selects the namespaces that must never be locked out.
func (c WebhookConfig) system() *metav1.LabelSelector {
	return namesSelector(metav1.LabelSelectorOpIn, c.systemNamespaces())
}

func namesSelector(op metav1.LabelSelectorOperator, names []string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
		Key: namespaceNameLabel, Operator: op, Values: slices.Sorted(slices.Values(names)),
	}}}
}

// checkScope checks the lists of namespaces.
func (c WebhookConfig) checkScope() error {
	if !isNamespace(c.SystemNamespace) {
		return fmt.Errorf("server: expected the name of the system namespace, got %q", clip(c.SystemNamespace, maxNamespaceName))
	}
	if len(c.OnlyNamespaces) > 0 && len(c.ExcludeNamespaces) > 0 {
		return errors.New("server: expected namespaces to include or namespaces to exclude, got both")
	}
	names := slices.Concat(c.OnlyNamespaces, c.ExcludeNamespaces)
	if len(names) > maxScopeNamespaces {
		return fmt.Errorf("server: expected at most %d namespaces, got %d", maxScopeNamespaces, len(names))
	}
	for i, name := range names {
		switch {
		case !isNamespace(name):
			return fmt.Errorf("server: expected the name of a namespace, got %q", clip(name, maxNamespaceName))
		case slices.Contains(c.systemNamespaces(), name):
			return fmt.Errorf("server: expected no system namespace, got %q: it is always decided, by a registration of its own that admits when nobody answers", name)
		case slices.Contains(names[:i], name):
			return fmt.Errorf("server: expected each namespace once, got %q twice", name)
		}
	}
	return nil
}
