# Everything that a developer or a CI machine does to this repository. `make`
# alone lists the targets. GNU make, bash, Go and a C compiler (for -race) are
# all that a machine needs; the Go command fetches and builds the rest.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
.NOTPARALLEL: # two builds at once only slow each other

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 20s
# What the test report is told: -no-skip, -log FILE.
REPORT ?=
# Further flags of go test.
TESTFLAGS ?=
# What make interop runs beside the API server. Nothing else needs them, and
# they take long to build.
COUNTERPARTS := cosign gatekeeper kyverno ratify

# Packages whose code the race detector cannot see, since it runs in other
# processes, or that only measure. A new package is raced unless it is here.
UNRACED := ^github.com/bonafide-dev/bonafide$$|/(hack|test|internal/rig)(/|$$)

# A generator is a test that compares, and that writes with -update. Each has a
# generate-x and a verify-x; generate_x names its package and tests.
GENERATORS := docs kyverno admission crds install
generate_docs := .
generate_kyverno := ./dialect/kyverno
generate_admission := ./test/e2e -run '^TestRecordedReviews$$'
generate_crds := ./test/schema -run '^TestGenerated$$'
generate_install := ./test/install -run '^Test(READMEHoldsEveryValue|ChartHoldsTheDefinitions|InstallManifest)$$'

report = go run ./hack/testreport $(REPORT)

##@ Use
.PHONY: demo build install
demo: ## sign images in a registry of its own and show the decisions
	go run ./cmd/bonafide demo

build: ## build bin/bonafide
	go build -ldflags '-s -w -X main.version=$(VERSION)' -o bin/bonafide ./cmd/bonafide

install: ## install bonafide into the Go bin folder
	go install -ldflags '-s -w -X main.version=$(VERSION)' ./cmd/bonafide

##@ Test
.PHONY: test unit race interop rig fuzz bench bench-interop
test: rig unit race ## all tests, against real servers, then again with the race detector where it pays

unit: ## all tests, once
	go test -json $(TESTFLAGS) ./... | $(report) -title tests

race: ## the tests of packages with concurrency, with the race detector
	@packages=$$(go list ./... | grep -vE '$(UNRACED)')
	go test -race -json $(TESTFLAGS) $$packages | $(report) -title 'tests with the race detector'

interop: ## the tests against Gatekeeper, Kyverno, Ratify and cosign (built once, about 15 minutes)
	go run ./hack/rig etcd kube-apiserver $(COUNTERPARTS) >/dev/null
	go test -json $(TESTFLAGS) -tags interop ./test/interop/... | $(report) -title 'tests against other programs'
	(cd hack/rego && go test -json $(TESTFLAGS) ./...) | $(report) -title "tests in Gatekeeper's Rego driver"

rig: ## build the servers and tools that the tests run (once, about 9 minutes)
	go run ./hack/rig >/dev/null

fuzz: ## each fuzz target for FUZZTIME (20s)
	@grep -rnoE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' . | while IFS=: read -r file _ match; do
	  echo "$${file%/*} $${match#func }"
	  go test -run '^$$' -fuzz "^$${match#func }$$" -fuzzminimizetime 0s -fuzztime $(FUZZTIME) "$${file%/*}" </dev/null
	done

bench: build ## what decisions cost, and a cluster of 1,000 policies and 10,000 Pods; read the ratios
	@go run ./hack/rig etcd kube-apiserver >/dev/null
	go run ./test/bench -binary bin/bonafide

bench-interop: ## the same work beside Kyverno and Ratify; read the ratios
	@go run ./hack/rig etcd kube-apiserver kyverno ratify >/dev/null
	cd test/interop && go test -tags interop -run '^TestBeside' -count 1 -args -rounds 15

##@ Check
.PHONY: lint vet verify verify-fmt verify-tidy
lint: ## golangci-lint (built once, about 3 minutes)
	@linter=$$(go run ./hack/rig golangci-lint)
	"$$linter" run ./...

vet: ## go vet
	go vet -tags interop ./...

verify: vet verify-fmt verify-tidy $(addprefix verify-,$(GENERATORS)) ## all checks that a commit must pass beside tests and lint

verify-fmt: ## every Go file is formatted
	@unformatted=$$(gofmt -l .)
	if [[ -n $$unformatted ]]; then printf 'gofmt would change:\n%s\n' "$$unformatted"; exit 1; fi

verify-tidy: ## go.mod and go.sum hold what the code needs, and no more
	go mod tidy -diff

##@ Generate
.PHONY: generate
generate: $(addprefix generate-,$(GENERATORS)) ## rewrite everything that is generated

generate-%: ## rewrite one: docs, kyverno, admission, crds, install
	go test -count=1 $(generate_$*) -update

verify-%: ## check one: docs, kyverno, admission, crds, install
	go test -count=1 $(generate_$*)

##@ Other
.PHONY: help clean
clean: ## remove what the build made here (the rig's cache stays)
	rm -rf bin

help: ## list the targets
	@awk -F ':.*## ' '/^##@ /{printf "\n%s\n", substr($$0, 5)} /^[a-z%-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
