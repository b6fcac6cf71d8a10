package dashboards_test

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const composeFile = "../docker-compose.yml"

type compose struct {
	Services map[string]struct {
		Build   string   `yaml:"build"`
		Image   string   `yaml:"image"`
		Volumes []string `yaml:"volumes"`
		Ports   []string `yaml:"ports"`
	} `yaml:"services"`
}

func readYAML[T any](t *testing.T, file string) T {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var value T
	require.NoError(t, yaml.Unmarshal(text, &value), file)
	return value
}

func TestComposeMountsWhatIsThereAndPublishesOnTheLoopbackOnly(t *testing.T) {
	file := readYAML[compose](t, composeFile)
	mounted := 0
	for name, service := range file.Services {
		require.NotEqual(t, service.Build == "", service.Image == "", name)
		for _, volume := range service.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if strings.HasPrefix(source, ".") {
				require.FileExists(t, existing(filepath.Join("..", source)), name)
				require.True(t, strings.HasSuffix(volume, ":ro"), volume)
				mounted++
			}
		}
		for _, port := range service.Ports {
			require.True(t, strings.HasPrefix(port, "127.0.0.1:"), "%s publishes %s", name, port)
		}
	}
	require.Positive(t, mounted)
}

// existing is the path itself if it is a file, else a file in that folder or below it.
func existing(path string) string {
	found := path
	_ = filepath.WalkDir(path, func(at string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			found = at
			return filepath.SkipAll
		}
		return err
	})
	return found
}

func TestPrometheusScrapesEveryNodeOfCompose(t *testing.T) {
	var nodes []string
	for name, service := range readYAML[compose](t, composeFile).Services {
		if service.Build != "" && name != "migrate" {
			nodes = append(nodes, name+":8080")
		}
	}
	slices.Sort(nodes)
	require.Len(t, nodes, 2)

	scraped := readYAML[struct {
		Configs []struct {
			Static []struct {
				Targets []string `yaml:"targets"`
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}](t, "prometheus/prometheus.yml")
	require.Equal(t, nodes, scraped.Configs[0].Static[0].Targets)
}

func TestGrafanaIsProvisionedWithTheDashboardsSource(t *testing.T) {
	provisioned := readYAML[struct {
		Datasources []struct {
			UID string `yaml:"uid"`
			URL string `yaml:"url"`
		} `yaml:"datasources"`
	}](t, "grafana/provisioning/datasources/prometheus.yml")
	require.Len(t, provisioned.Datasources, 1)
	source, err := url.Parse(provisioned.Datasources[0].URL)
	require.NoError(t, err)
	require.Contains(t, readYAML[compose](t, composeFile).Services, source.Hostname())

	for _, p := range readDashboard(t).Panels {
		if p.Type != "row" {
			require.Equal(t, provisioned.Datasources[0].UID, p.Datasource.UID, p.Title)
		}
	}
	providers := readYAML[struct {
		Providers []struct {
			Options struct {
				Path string `yaml:"path"`
			} `yaml:"options"`
		} `yaml:"providers"`
	}](t, "grafana/provisioning/dashboards/wakelatch.yml")
	require.Contains(t, readYAML[compose](t, composeFile).Services["grafana"].Volumes,
		"./dashboards/grafana/dashboards:"+providers.Providers[0].Options.Path+":ro")
}
