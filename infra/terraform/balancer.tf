# An external HTTPS load balancer: one address and one certificate in front of the
# HTTP functions. Its URL map is generated from the manifest's paths.
resource "google_compute_global_address" "this" {
  name = "geminivideo"

  depends_on = [google_project_service.this]
}

resource "google_compute_managed_ssl_certificate" "this" {
  name = "geminivideo"
  managed {
    domains = [var.domain]
  }

  depends_on = [google_project_service.this]
}

resource "google_compute_ssl_policy" "this" {
  name            = "geminivideo"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"

  depends_on = [google_project_service.this]
}

resource "google_compute_region_network_endpoint_group" "function" {
  for_each              = local.http
  name                  = "function-${each.key}"
  region                = var.region
  network_endpoint_type = "SERVERLESS"
  cloud_run {
    service = google_cloud_run_v2_service.function[each.key].name
  }
}

resource "google_compute_backend_service" "function" {
  for_each              = local.http
  name                  = "function-${each.key}"
  description           = each.value.summary
  load_balancing_scheme = "EXTERNAL_MANAGED"
  backend {
    group = google_compute_region_network_endpoint_group.function[each.key].id
  }
  log_config {
    enable = false # each function writes one line a request
  }
}

# The revision that infra/deploy tagged "next" and has not given traffic yet, of the
# functions that strangers call: it is asked through the load balancer, because no
# other way in is open. The header names the function; without a tagged revision Google
# answers 404.
resource "google_compute_region_network_endpoint_group" "next" {
  for_each              = local.public
  name                  = "next-${each.key}"
  region                = var.region
  network_endpoint_type = "SERVERLESS"
  cloud_run {
    service = google_cloud_run_v2_service.function[each.key].name
    tag     = "next"
  }
}

resource "google_compute_backend_service" "next" {
  for_each              = local.public
  name                  = "next-${each.key}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  backend {
    group = google_compute_region_network_endpoint_group.next[each.key].id
  }
}

# Routes are tried in the order of their priorities, so what is more exact comes first:
# "2 wildcards: /a/{x}/b/{y}" after "1 wildcard: /a/{x}/b" after "/a/b".
locals {
  front = var.deploy_functions ? toset(["front"]) : toset([]) # nothing to lead to before there are functions

  next_header = "X-Geminivideo-Next"

  patterns = merge([
    for name, f in local.http : {
      for p in distinct([for path in f.paths : split(" ", path)[1]]) : p => {
        function  = name
        wildcards = length(regexall("[{]", replace(p, "{$}", ""))) + 10 * length(regexall("[.]{3}[}]", p))
        exact     = length(regexall("[{]", replace(p, "{$}", ""))) == 0
        # {id} is one segment, {file...} the rest, and /{$} the root alone.
        match = replace(replace(replace(replace(p, "{$}", ""), "...}", "=**}"), "}", "=*}"), "=**=*}", "=**}")
      }
    }
  ]...)
  ordered = [for key in sort([for p, r in local.patterns : format("%03d %s", r.wildcards, p)]) : substr(key, 4, -1)]
}

resource "google_compute_url_map" "this" {
  for_each        = local.front
  name            = "geminivideo"
  default_service = google_compute_backend_service.function["console"].id

  host_rule {
    hosts        = [var.domain]
    path_matcher = "functions"
  }

  path_matcher {
    name            = "functions"
    default_service = google_compute_backend_service.function["console"].id # it answers 404 for what nobody serves

    dynamic "route_rules" {
      for_each = sort(keys(local.public))
      content {
        priority = 1 + route_rules.key
        service  = google_compute_backend_service.next[route_rules.value].id
        match_rules {
          prefix_match = "/"
          header_matches {
            header_name = local.next_header
            exact_match = route_rules.value
          }
        }
      }
    }

    dynamic "route_rules" {
      for_each = local.ordered
      content {
        priority = 100 + route_rules.key
        service  = google_compute_backend_service.function[local.patterns[route_rules.value].function].id
        match_rules {
          full_path_match     = local.patterns[route_rules.value].exact ? local.patterns[route_rules.value].match : null
          path_template_match = local.patterns[route_rules.value].exact ? null : local.patterns[route_rules.value].match
        }
      }
    }
  }

  lifecycle {
    precondition {
      condition     = length(local.ordered) + length(local.public) <= 200
      error_message = "A path matcher holds 200 route rules at most: give functions with a common prefix one rule."
    }
  }
}

resource "google_compute_target_https_proxy" "this" {
  for_each         = local.front
  name             = "geminivideo"
  url_map          = google_compute_url_map.this[each.key].id
  ssl_certificates = [google_compute_managed_ssl_certificate.this.id]
  ssl_policy       = google_compute_ssl_policy.this.id
}

resource "google_compute_global_forwarding_rule" "https" {
  for_each              = local.front
  name                  = "geminivideo-https"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.this.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.this[each.key].id
}

resource "google_compute_url_map" "redirect" {
  name = "geminivideo-redirect"
  default_url_redirect {
    https_redirect         = true
    redirect_response_code = "PERMANENT_REDIRECT" # 308 keeps the method
    strip_query            = false
  }

  depends_on = [google_project_service.this]
}

resource "google_compute_target_http_proxy" "redirect" {
  name    = "geminivideo-redirect"
  url_map = google_compute_url_map.redirect.id
}

resource "google_compute_global_forwarding_rule" "http" {
  name                  = "geminivideo-http"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.this.id
  port_range            = "80"
  target                = google_compute_target_http_proxy.redirect.id
}
