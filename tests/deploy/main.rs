//! What operators get besides the binary: alerts with their runbooks, the dashboard, the image, the compose file. Judged by
//! the tools that will read them; nothing here needs a service, but for the image's own test (`make image`).

#[cfg(test)]
mod support;

#[cfg(test)]
mod alerts;
#[cfg(test)]
mod compose;
#[cfg(test)]
mod dashboard;
#[cfg(test)]
mod image;
