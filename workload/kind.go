package workload

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/evidence"
)

// templates tells where the Pod's spec is in each kind that holds one.
var templates = [...]struct {
	apiVersion, kind string
	spec             []string
}{
	{"apps/v1", "DaemonSet", []string{"spec", "template", "spec"}},
	{"apps/v1", "Deployment", []string{"spec", "template", "spec"}},
	{"apps/v1", "ReplicaSet", []string{"spec", "template", "spec"}},
	{"apps/v1", "StatefulSet", []string{"spec", "template", "spec"}},
	{"batch/v1", "CronJob", []string{"spec", "jobTemplate", "spec", "template", "spec"}},
	{"batch/v1", "Job", []string{"spec", "template", "spec"}},
	{"v1", "Pod", []string{"spec"}},
	{"v1", "PodTemplate", []string{"template", "spec"}},
	{"v1", "ReplicationController", []string{"spec", "template", "spec"}},
}

// Kinds returns the kinds that Read reads, as "apiVersion/Kind", sorted.
func Kinds() []string {
	kinds := make([]string, 0, len(templates))
	for _, t := range templates {
		kinds = append(kinds, t.apiVersion+"/"+t.kind)
	}
	slices.Sort(kinds)
	return kinds
}

// specPath returns where the Pod's spec is in an object of the kind.
func specPath(apiVersion, kind string) ([]string, *evidence.Problem) {
	for _, t := range templates {
		if t.apiVersion == apiVersion && t.kind == kind {
			return t.spec, nil
		}
	}
	expected := "one of " + strings.Join(Kinds(), ", ")
	if strings.HasSuffix(kind, "List") {
		expected = "one object, read apart from its list, of kind " + expected
	}
	return nil, &evidence.Problem{Reason: evidence.UnknownKind, Path: "/kind", Expected: expected, Got: fmt.Sprintf("%.100q", apiVersion+"/"+kind)}
}
