package main

import (
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"
	duck "knative.dev/pkg/apis/duck/v1"

	"github.com/tektoncd/chains/pkg/chains/objects"
)

// What the runs are called.
const (
	namespace = "ci"
	account   = "pipeline"
	taskName  = "build-image"
	buildah   = "quay.io/buildah/stable@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
)

// at is a minute after the runs began.
func at(minute int) *metav1.Time {
	t := metav1.Date(2026, 3, 1, 9, minute, 0, 0, time.UTC)
	return &t
}

// object is the finished run that built the image, as Tekton leaves it.
func (b build) object(digest string) objects.TektonObject {
	if b.kind == taskRun {
		return objects.NewTaskRunObjectV1(b.taskRun("build-image-run", digest))
	}
	return b.pipelineRun(digest)
}

func (b build) taskRun(name, digest string) *pipelinev1.TaskRun {
	return &pipelinev1.TaskRun{
		TypeMeta:   metav1.TypeMeta{APIVersion: "tekton.dev/v1", Kind: taskRun},
		ObjectMeta: meta(name, "5f1c8f3e-6f0e-4e66-9b1c-2c5b0a2b7c01"),
		Spec:       pipelinev1.TaskRunSpec{ServiceAccountName: account, Params: params(), TaskRef: &pipelinev1.TaskRef{ResolverRef: b.resolver(".tekton/task.yaml")}},
		Status: pipelinev1.TaskRunStatus{
			Status: succeeded(),
			TaskRunStatusFields: pipelinev1.TaskRunStatusFields{
				PodName: name + "-pod", StartTime: at(0), CompletionTime: at(5),
				TaskSpec: &pipelinev1.TaskSpec{
					Params:  pipelinev1.ParamSpecs{{Name: "IMAGE", Type: pipelinev1.ParamTypeString}},
					Results: []pipelinev1.TaskResult{{Name: "IMAGE_URL"}, {Name: "IMAGE_DIGEST"}},
					Steps:   []pipelinev1.Step{{Name: "build-and-push", Image: "quay.io/buildah/stable", Script: "buildah build --tag \"$(params.IMAGE)\" ."}},
				},
				Steps:      []pipelinev1.StepState{{Name: "build-and-push", Container: "step-build-and-push", ImageID: buildah}},
				Results:    b.taskResults(digest),
				Provenance: b.provenance(".tekton/task.yaml"),
			},
		},
	}
}

func (b build) pipelineRun(digest string) objects.TektonObject {
	task := b.taskRun("build-image-run-build", digest)
	task.Labels = map[string]string{"tekton.dev/pipelineTask": "build"}
	run := &pipelinev1.PipelineRun{
		TypeMeta:   metav1.TypeMeta{APIVersion: "tekton.dev/v1", Kind: pipelineRun},
		ObjectMeta: meta("release-run", "0f7a2f1a-2a53-4cfa-8c0f-7a8e7d1f9b02"),
		Spec: pipelinev1.PipelineRunSpec{
			PipelineRef: &pipelinev1.PipelineRef{ResolverRef: b.resolver(".tekton/pipeline.yaml")}, Params: params(),
			TaskRunTemplate: pipelinev1.PipelineTaskRunTemplate{ServiceAccountName: account},
		},
		Status: pipelinev1.PipelineRunStatus{
			Status: succeeded(),
			PipelineRunStatusFields: pipelinev1.PipelineRunStatusFields{
				StartTime: at(0), CompletionTime: at(5),
				PipelineSpec: &pipelinev1.PipelineSpec{
					Params: pipelinev1.ParamSpecs{{Name: "IMAGE", Type: pipelinev1.ParamTypeString}},
					Tasks:  []pipelinev1.PipelineTask{{Name: "build", TaskRef: &pipelinev1.TaskRef{Name: taskName, Kind: pipelinev1.NamespacedTaskKind}}},
				},
				Results: b.pipelineResults(digest),
				ChildReferences: []pipelinev1.ChildStatusReference{{
					Name: task.Name, PipelineTaskName: "build",
				}},
				Provenance: b.provenance(".tekton/pipeline.yaml"),
			},
		},
	}
	object := objects.NewPipelineRunObjectV1(run)
	object.AppendTaskRun(task)
	return object
}

func meta(name, uid string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: namespace, UID: types.UID(uid)}
}

func succeeded() duck.Status {
	return duck.Status{Conditions: duck.Conditions{{Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue, Reason: "Succeeded"}}}
}

func params() pipelinev1.Params {
	return pipelinev1.Params{{Name: "IMAGE", Value: *pipelinev1.NewStructuredValues(repository)}}
}

func (b build) resolver(path string) pipelinev1.ResolverRef {
	return pipelinev1.ResolverRef{Resolver: "git", Params: pipelinev1.Params{
		{Name: "url", Value: *pipelinev1.NewStructuredValues(b.defined() + ".git")},
		{Name: "revision", Value: *pipelinev1.NewStructuredValues("main")},
		{Name: "pathInRepo", Value: *pipelinev1.NewStructuredValues(path)},
	}}
}

// provenance is what Tekton's git resolver leaves in a run's status.
func (b build) provenance(path string) *pipelinev1.Provenance {
	return &pipelinev1.Provenance{RefSource: &pipelinev1.RefSource{
		URI: "git+" + b.defined() + ".git", Digest: map[string]string{"sha1": commit}, EntryPoint: path,
	}}
}

// A result is what a run tells.
type result struct {
	name  string
	value *pipelinev1.ResultValue
}

// results are the image that the run pushed, and what it cloned. Format
// slsa/v2alpha4 takes the image from the object that says that it is what was
// built; slsa/v1, and the image's signature, from the other two.
func (b build) results(digest string) []result {
	return []result{
		{"IMAGE_URL", pipelinev1.NewStructuredValues(repository)},
		{"IMAGE_DIGEST", pipelinev1.NewStructuredValues(digest)},
		{"CHAINS-GIT_URL", pipelinev1.NewStructuredValues(b.cloned())},
		{"CHAINS-GIT_COMMIT", pipelinev1.NewStructuredValues(commit)},
		{"image-ARTIFACT_OUTPUTS", pipelinev1.NewObject(map[string]string{"uri": repository, "digest": digest, "isBuildArtifact": "true"})},
	}
}

func (b build) taskResults(digest string) []pipelinev1.TaskRunResult {
	var all []pipelinev1.TaskRunResult
	for _, r := range b.results(digest) {
		all = append(all, pipelinev1.TaskRunResult{Name: r.name, Type: pipelinev1.ResultsType(r.value.Type), Value: *r.value})
	}
	return all
}

func (b build) pipelineResults(digest string) []pipelinev1.PipelineRunResult {
	var all []pipelinev1.PipelineRunResult
	for _, r := range b.results(digest) {
		all = append(all, pipelinev1.PipelineRunResult{Name: r.name, Value: *r.value})
	}
	return all
}
