# terraform test: plans against a mocked provider, without a project.
mock_provider "google" {
  mock_data "google_project" {
    defaults = {
      number = "123456789012"
    }
  }
}

variables {
  project_id   = "acme-ads"
  domain       = "api.example.com"
  supabase_url = "https://abcdefghijklmnopqrst.supabase.co"
}

run "everything" {
  command = plan

  assert {
    condition     = length(google_cloud_run_v2_service.function) == length(local.functions)
    error_message = "Each function is a service."
  }
  assert {
    condition     = google_cloud_run_v2_service.function["hubspot"].template[0].scaling[0].min_instance_count == 1
    error_message = "HubSpot waits 5 s: one instance is warm."
  }
  assert {
    condition     = alltrue([for name in keys(local.jobs) : !google_cloud_run_v2_service.function[name].invoker_iam_disabled])
    error_message = "A scheduled function keeps Cloud Run's own check."
  }
  assert {
    condition     = output.webhook_url == "https://api.example.com/webhooks/hubspot"
    error_message = "The webhook's address is the domain's."
  }
}

run "alerts" {
  command = plan
  variables {
    alert_email = "operators@example.com"
  }

  assert {
    condition     = length(google_monitoring_alert_policy.this) == length(local.alerts) && length(local.alerts) >= 20
    error_message = "Each rule of alerts.yml is a policy."
  }
  assert {
    condition     = google_monitoring_alert_policy.this["IntakeFailsFast"].severity == "CRITICAL"
    error_message = "What wakes somebody up is critical."
  }
  assert {
    condition     = google_monitoring_alert_policy.this["QueueStandsStill"].conditions[0].condition_prometheus_query_language[0].duration == "120s"
    error_message = "The rule's time is the policy's."
  }
  assert {
    condition     = length(google_monitoring_notification_channel.email) == 1
    error_message = "Somebody is written to."
  }
}

run "first_apply" {
  command = plan
  variables {
    deploy_functions = false
  }

  assert {
    condition     = length(google_cloud_run_v2_service.function) == 0 && length(google_secret_manager_secret.deployment) > 0
    error_message = "Secrets come before functions."
  }
}

run "bad_domain" {
  command = plan
  variables {
    domain = "https://api.example.com"
  }
  expect_failures = [var.domain]
}

run "secret_as_setting" {
  command = plan
  variables {
    settings = { GEMINI_API_KEY = "x" }
  }
  expect_failures = [var.settings]
}
