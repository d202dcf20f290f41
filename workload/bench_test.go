package workload_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/bonafide-dev/bonafide/workload"
)

// realisticPod is a Pod as an API server sends it: three containers with
// environment, probes and mounts, status and managed fields.
func realisticPod(tb testing.TB) []byte {
	tb.Helper()
	var containers, managed []any
	for i := range 3 {
		var env []any
		for j := range 25 {
			env = append(env, map[string]any{"name": fmt.Sprintf("SETTING_%d", j), "value": "a value of some length, as settings have"})
		}
		containers = append(containers, map[string]any{
			"name": fmt.Sprintf("c%d", i), "image": fmt.Sprintf("ghcr.io/acme/app-%d:v1.2.3", i), "env": env, "imagePullPolicy": "IfNotPresent",
			"ports":        []any{map[string]any{"containerPort": 8080, "protocol": "TCP"}},
			"resources":    map[string]any{"requests": map[string]any{"cpu": "100m", "memory": "128Mi"}},
			"volumeMounts": []any{map[string]any{"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "token", "readOnly": true}},
		})
	}
	for i := range 4 {
		fields := map[string]any{}
		for j := range 40 {
			fields[fmt.Sprintf(`f:k{"name":"n%d-%d"}`, i, j)] = map[string]any{".": map[string]any{}, "f:name": map[string]any{}, "f:value": map[string]any{}}
		}
		managed = append(managed, map[string]any{"manager": "kubectl", "fieldsType": "FieldsV1", "fieldsV1": fields})
	}
	raw, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{
			"name": "app", "namespace": "team-a", "labels": map[string]any{"app": "app", "tier": "web"}, "managedFields": managed,
			"ownerReferences": []any{map[string]any{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app-1", "uid": "u", "controller": true}},
		},
		"spec": map[string]any{
			"containers": containers, "serviceAccountName": "app", "imagePullSecrets": []any{map[string]any{"name": "pull"}},
			"volumes": []any{map[string]any{"name": "token", "projected": map[string]any{"sources": []any{}}}},
		},
		"status": map[string]any{"phase": "Running", "containerStatuses": containers},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func BenchmarkRead(b *testing.B) {
	raw := realisticPod(b)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		o, err := workload.Read(raw)
		if err != nil || len(o.Images) != 3 {
			b.Fatal(err, o.Images)
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	var root map[string]any
	if err := json.Unmarshal(realisticPod(b), &root); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		o, err := workload.Walk(root)
		if err != nil || len(o.Images) != 3 {
			b.Fatal(err, o.Images)
		}
	}
}
