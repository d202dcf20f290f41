package install_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestPeopleMayWhatTheirRoleSays asks the real authorizer about everybody's
// roles: who may excuse an image, and who may stop one, is nobody else's.
func TestPeopleMayWhatTheirRoleSays(t *testing.T) {
	w := &world{Cluster: shared.Cluster(t)}
	for _, object := range objects(t, render(t)) {
		if object.GetKind() != "ClusterRole" || object.GetName() == "bonafide" {
			continue
		}
		text, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		w.Apply(t, string(text))
	}
	kinds := []string{"clusterverificationpolicies", "imagedenylists", "verificationexceptions", "verificationpolicies"}
	cases := map[string]struct {
		reason string
		writes []string
		reads  []string
	}{
		"bonafide-viewer":                {"sees everything", nil, kinds},
		"bonafide-policy-editor":         {"edits what only adds", []string{"verificationpolicies"}, []string{"verificationpolicies"}},
		"bonafide-cluster-policy-editor": {"edits what is for everybody", []string{"clusterverificationpolicies"}, []string{"clusterverificationpolicies"}},
		"bonafide-exception-editor":      {"excuses", []string{"verificationexceptions"}, []string{"verificationexceptions"}},
		"bonafide-image-denier":          {"stops", []string{"imagedenylists"}, []string{"imagedenylists"}},
	}
	for role, c := range cases {
		t.Run(role, func(t *testing.T) {
			user := "somebody-of-" + role
			_, err := w.Client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: user}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
				Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
			}, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			about := func(verb, kind string) authorizationv1.ResourceAttributes {
				return authorizationv1.ResourceAttributes{Verb: verb, Group: "bonafide.dev", Resource: kind}
			}
			first := []authorizationv1.ResourceAttributes{about("get", c.reads[0])}
			if err := within(t.Context(), settleTime, func(ctx context.Context) error { return w.mayOne(ctx, user, first) }); err != nil {
				t.Fatal(err)
			}
			got := map[bool][]string{}
			want := map[bool][]string{}
			for _, kind := range kinds {
				for _, verb := range []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"} {
					allowed, err := w.may(t.Context(), user, about(verb, kind))
					if err != nil {
						t.Fatal(err)
					}
					expected := slices.Contains(c.writes, kind) && verb != "deletecollection"
					if slices.Contains([]string{"get", "list", "watch"}, verb) {
						expected = slices.Contains(c.reads, kind)
					}
					got[allowed] = append(got[allowed], fmt.Sprintf("%s %s", verb, kind))
					want[expected] = append(want[expected], fmt.Sprintf("%s %s", verb, kind))
				}
			}
			if !slices.Equal(want[true], got[true]) {
				t.Errorf("%s: want permitted %s, got %s", c.reason, strings.Join(want[true], ", "), strings.Join(got[true], ", "))
			}
		})
	}
}
