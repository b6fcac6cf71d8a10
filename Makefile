.DEFAULT_GOAL := help
GOLANGCI := golangci-lint
SQLC := sqlc

.PHONY: help
help: ## Show what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## Run one node with a Postgres of its own
	go run ./cmd/wakelatch dev

.PHONY: build
build: ## Build bin/wakelatch
	go build -trimpath -o bin/wakelatch ./cmd/wakelatch

.PHONY: test
test: ## Run every test
	go test ./...

.PHONY: race
race: ## Run every test with the race detector, in a random order
	go test -race -shuffle=on ./...

.PHONY: bench
bench: ## Run the benchmarks
	go test -run '^$$' -bench . -benchmem ./server/...

.PHONY: fuzz
fuzz: ## Fuzz each target for half a minute
	@go list -f '{{.ImportPath}}' ./... | while read -r pkg; do \
		go test -list '^Fuzz' "$$pkg" | grep '^Fuzz' | while read -r target; do \
			echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime 30s "$$pkg" || exit 1; \
		done || exit 1; \
	done

.PHONY: lint
lint: ## Lint, with the version that .ci/golangci-lint.version pins
	$(GOLANGCI) run ./...

.PHONY: fmt
fmt: ## Format
	$(GOLANGCI) fmt ./...

.PHONY: generate
generate: ## Generate the queries' Go
	cd sql && $(SQLC) generate

.PHONY: verify
verify: ## Check that what is generated, tidied and formatted is committed so
	cd sql && $(SQLC) diff
	go mod tidy -diff
	test -z "$$(gofmt -l cmd jobs server sql dashboards)"

.PHONY: up
up: ## Start Postgres, two nodes behind a balancer, Prometheus and Grafana
	docker-compose up --build
