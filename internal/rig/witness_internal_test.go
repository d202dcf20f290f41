package rig

import (
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
)

func TestAttributesOf(t *testing.T) {
	type attributes = authorizationv1.ResourceAttributes
	cases := map[string]struct {
		reason, method, url string
		want                attributes // empty: none
	}{
		"Get":              {"an object of a namespace", "GET", "/api/v1/namespaces/a/secrets/key", attributes{Verb: "get", Namespace: "a", Resource: "secrets", Name: "key"}},
		"List":             {"all of a group", "GET", "/apis/bonafide.dev/v1alpha1/imagedenylists?limit=500", attributes{Verb: "list", Group: "bonafide.dev", Resource: "imagedenylists"}},
		"ListOne":          {"a list of one name is about that name", "GET", "/api/v1/namespaces/a/secrets?fieldSelector=metadata.name%3Dkey", attributes{Verb: "list", Namespace: "a", Resource: "secrets", Name: "key"}},
		"ListByOtherField": {"another field is no name", "GET", "/api/v1/pods?fieldSelector=status.phase%21%3DFailed", attributes{Verb: "list", Resource: "pods"}},
		"Watch":            {"a list that stays open", "GET", "/api/v1/namespaces?watch=true", attributes{Verb: "watch", Resource: "namespaces"}},
		"WatchOne":         {"as a list", "GET", "/api/v1/namespaces/a/configmaps?watch=1&fieldSelector=metadata.name%3Dkey", attributes{Verb: "watch", Namespace: "a", Resource: "configmaps", Name: "key"}},
		"Namespace":        {"a namespace is in itself", "GET", "/api/v1/namespaces/a", attributes{Verb: "get", Namespace: "a", Resource: "namespaces", Name: "a"}},
		"NamespaceStatus":  {"and its status is no resource", "PATCH", "/api/v1/namespaces/a/status", attributes{Verb: "patch", Namespace: "a", Resource: "namespaces", Subresource: "status", Name: "a"}},
		"Create":           {"the name is in the body, where nobody looks", "POST", "/api/v1/namespaces/a/events", attributes{Verb: "create", Namespace: "a", Resource: "events"}},
		"Update":           {"the whole object", "PUT", "/apis/coordination.k8s.io/v1/namespaces/a/leases/x", attributes{Verb: "update", Group: "coordination.k8s.io", Namespace: "a", Resource: "leases", Name: "x"}},
		"PatchStatus":      {"a part of an object", "PATCH", "/apis/bonafide.dev/v1alpha1/namespaces/a/verificationpolicies/x/status", attributes{Verb: "patch", Group: "bonafide.dev", Namespace: "a", Resource: "verificationpolicies", Subresource: "status", Name: "x"}},
		"Delete":           {"one", "DELETE", "/api/v1/namespaces/a/pods/x", attributes{Verb: "delete", Namespace: "a", Resource: "pods", Name: "x"}},
		"DeleteAll":        {"many", "DELETE", "/api/v1/namespaces/a/pods", attributes{Verb: "deletecollection", Namespace: "a", Resource: "pods"}},
		"Discovery":        {"what is served is no resource", "GET", "/apis/openreports.io/v1alpha1", attributes{}},
		"Version":          {"nor is the version", "GET", "/version", attributes{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, is := attributesOf(httptest.NewRequest(c.method, c.url, nil))
			if diff := cmp.Diff(c.want, got); diff != "" || is != (c.want.Verb != "") {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}
